"""What `dstk top` prints: a screen that fits the terminal, or a line."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from dstk.v1 import metrics_pb2
from dstk_cli.messages import key_or_none
from dstk_cli.observe import quantities
from dstk_cli.observe.quantities import Figure
from dstk_cli.observe.snapshot import NodeLoad, Snapshot
from dstk_cli.tables import Columns, FittingTable, listing
from dstk_cli.untrusted import as_markup
from dstk_service.figures import duration, size, timestamp

LINES_AROUND = 9
"""Health, trouble, titles, omitted columns, and the lines between."""
LEAST_ROWS = 3
FIGURES_A_LINE = 4
GAP = 3
"""Cells between two figures."""
TIME = slice(11, 19)
"""Of an ISO time."""


@dataclass(frozen=True, slots=True)
class TopScreen:
    """A snapshot, as high as the terminal when it is `live`. `trouble`: why the figures are not fresh; empty: they are."""

    snapshot: Snapshot
    limit: int
    trouble: str = ""
    live: bool = True

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Renders the totals, and as many rows of the tables as there is room for."""
        totals = _in_columns(list(_cells(self.snapshot.totals)), options.max_width)
        nodes = self.snapshot.nodes()
        shown_nodes, shown_partitions = self._rows(options.max_height - totals.row_count, len(nodes))
        yield f"[bold]{timestamp(self.snapshot.totals.at_ms)[TIME]} UTC[/]   {_health(self.snapshot.totals)}"
        yield f"[bold red]{as_markup(self.trouble)}[/]" if self.trouble else ""
        yield totals
        yield ""
        yield _nodes(nodes[:shown_nodes], whole=self.snapshot.is_whole)
        yield ""
        yield _partitions(self.snapshot.partitions[:shown_partitions])

    def _rows(self, height: int, nodes: int) -> tuple[int, int]:
        """How many nodes and partitions are shown."""
        if not self.live:
            return nodes, self.limit
        room = max(height - LINES_AROUND, 2 * LEAST_ROWS)
        of_nodes = min(nodes, max(LEAST_ROWS, room // 3))
        return of_nodes, min(self.limit, room - of_nodes)


def _in_columns(cells: Sequence[str], width: int) -> Table:
    """The cells in as many columns as there is room for."""
    widest = max(Text.from_markup(cell).cell_len for cell in cells)
    count = max(1, min(FIGURES_A_LINE, (width + GAP) // (widest + GAP)))
    grid = Table.grid(padding=(0, GAP, 0, 0))
    for at in range(0, len(cells), count):
        grid.add_row(*cells[at : at + count])
    return grid


def line(snapshot: Snapshot) -> str:
    """The totals as one line of markup."""
    totals = snapshot.totals
    return "  ".join((timestamp(totals.at_ms), *_cells(totals), _health(totals)))


def _health(totals: metrics_pb2.ClusterStats) -> str:
    reporting = _of(totals.reporting_nodes, totals.nodes, "nodes")
    serving = _of(totals.serving_partitions, totals.partitions, "partitions serve")
    in_sync = _of(totals.in_sync_replicas, totals.replicas, "in sync")
    stale = f"[yellow]{totals.stale_partitions:,} stale[/]" if totals.stale_partitions else ""
    return "   ".join(filter(None, (reporting, serving, in_sync, stale)))


def _of(count: int, total: int, what: str) -> str:
    colour = "green" if count >= total else "bold yellow"
    return f"[{colour}]{count:,}/{total:,}[/] {what}"


def _cells(totals: metrics_pb2.ClusterStats) -> Iterator[str]:
    failures, reads, writes = totals.failures, totals.read_latency, totals.write_latency
    yield f"reads [bold]{quantities.shown(Figure.READS, totals.reads)}[/]"
    yield f"writes [bold]{quantities.shown(Figure.WRITES, totals.writes)}[/]"
    yield f"scanned [bold]{quantities.shown(Figure.SCANNED, totals.scanned)}[/]"
    yield f"time [bold]{quantities.shown(Figure.TIME, totals.time)}[/]"
    yield f"out {quantities.shown(Figure.READ_BYTES, totals.read_bytes)}"
    yield f"in {quantities.shown(Figure.WRITTEN_BYTES, totals.written_bytes)}"
    yield f"refused {quantities.decimal(failures.refused)}/s"
    yield f"[{'red' if failures.server else 'default'}]failed {quantities.decimal(failures.server)}/s[/]"
    yield f"get p50 {quantities.seconds(reads.p50_s)} p99 {quantities.seconds(reads.p99_s)}"
    yield f"write p50 {quantities.seconds(writes.p50_s)} p99 {quantities.seconds(writes.p99_s)}"
    yield f"~{totals.records:,} records, ~{size(totals.bytes)}"
    yield f"disk {size(totals.free_bytes)} of {size(totals.capacity_bytes)} free"


_RATES = (Figure.READS, Figure.WRITES, Figure.SCANNED, Figure.READ_BYTES, Figure.WRITTEN_BYTES, Figure.TIME)


def _nodes(loads: Iterable[NodeLoad], *, whole: bool) -> FittingTable:
    counted = "partitions" if whole else "busiest partitions"
    columns: Columns[NodeLoad] = {
        "node": lambda load: as_markup(load.node) or "-",
        f">{counted}": lambda load: f"{load.partitions:,}",
        **{f">{figure}": _of_node(figure) for figure in _RATES},
        ">failed": lambda load: quantities.shown(Figure.FAILURES, load.failures) if load.known else "-",
    }
    return listing(columns, loads, spare=("failed", counted, "read-bytes", "scanned", "written-bytes"))


def _of_node(figure: Figure) -> Callable[[NodeLoad], str]:
    return lambda load: quantities.shown(figure, load.rates[figure.name.lower()]) if load.known else "-"


def _of_partition(figure: Figure) -> Callable[[metrics_pb2.PartitionStats], str]:
    return _known(lambda stats: quantities.shown(figure, getattr(stats, figure.name.lower())))


def _known(cell: Callable[[metrics_pb2.PartitionStats], str]) -> Callable[[metrics_pb2.PartitionStats], str]:
    """A figure, which is unknown until the node has told it."""
    return lambda stats: "-" if stats.age_s < 0 else cell(stats)


def _age(stats: metrics_pb2.PartitionStats) -> str:
    if stats.age_s < 0:
        return "[yellow]unknown[/]"
    return f"[yellow]{duration(stats.age_s)}[/]" if stats.stale else duration(stats.age_s)


_SPARE = ("age", "get p99", "read-bytes", "written-bytes", "scanned", "start", "write p99")
_PARTITION: Columns[metrics_pb2.PartitionStats] = {
    ">partition": lambda stats: str(stats.partition_id),
    "start": lambda stats: as_markup(key_or_none(stats.start) or "(first)"),
    "node": lambda stats: as_markup(stats.primary) or "-",
    **{f">{figure}": _of_partition(figure) for figure in _RATES},
    ">get p99": _known(lambda stats: quantities.seconds(stats.read_latency.p99_s)),
    ">write p99": _known(lambda stats: quantities.seconds(stats.write_latency.p99_s)),
    ">age": _age,
}


def _partitions(stats: Iterable[metrics_pb2.PartitionStats]) -> FittingTable:
    return listing(_PARTITION, stats, spare=_SPARE)
