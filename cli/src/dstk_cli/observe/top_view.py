"""What `dstk top` prints: a screen that fits the terminal, or a line."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.table import Table

from dstk.v1 import metrics_pb2
from dstk_cli.messages import key_or_none
from dstk_cli.observe import quantities
from dstk_cli.observe.quantities import Figure
from dstk_cli.observe.snapshot import NodeLoad, Snapshot
from dstk_cli.tables import Columns, FittingTable, listing
from dstk_cli.untrusted import as_markup
from dstk_service.figures import duration, size, timestamp

LINES_OF_TOTALS = 7
LINES_OF_TABLES = 5
"""Titles, and the lines between."""
LEAST_ROWS = 3
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
        nodes = self.snapshot.nodes()
        shown_nodes, shown_partitions = self._rows(options.max_height, len(nodes))
        yield from self._totals()
        yield ""
        yield _nodes(nodes[:shown_nodes], whole=self.snapshot.is_whole)
        yield ""
        yield _partitions(self.snapshot.partitions[:shown_partitions])

    def _rows(self, height: int, nodes: int) -> tuple[int, int]:
        """How many nodes and partitions are shown."""
        if not self.live:
            return nodes, self.limit
        room = max(height - LINES_OF_TOTALS - LINES_OF_TABLES, 2 * LEAST_ROWS)
        of_nodes = min(nodes, max(LEAST_ROWS, room // 3))
        return of_nodes, min(self.limit, room - of_nodes)

    def _totals(self) -> Iterable[RenderableType]:
        totals = self.snapshot.totals
        yield f"[bold]{timestamp(totals.at_ms)[TIME]} UTC[/]   {_health(totals)}"
        yield f"[bold red]{as_markup(self.trouble)}[/]" if self.trouble else ""
        grid = Table.grid(padding=(0, 3))
        for cells in _cells(totals):
            grid.add_row(*cells)
        yield grid


def line(snapshot: Snapshot) -> str:
    """The totals as one line of markup."""
    totals = snapshot.totals
    cells = "  ".join(cell for row in _cells(totals) for cell in row if cell)
    return f"{timestamp(totals.at_ms)}  {cells}  {_health(totals)}"


def _health(totals: metrics_pb2.ClusterStats) -> str:
    reporting = _of(totals.reporting_nodes, totals.nodes, "nodes report")
    serving = _of(totals.serving_partitions, totals.partitions, "partitions serve")
    in_sync = _of(totals.in_sync_replicas, totals.replicas, "replicas in sync")
    disk = f"{size(totals.free_bytes)} of {size(totals.capacity_bytes)} free"
    stale = f"[yellow]{totals.stale_partitions:,} stale[/]" if totals.stale_partitions else ""
    return "   ".join(filter(None, (reporting, serving, in_sync, disk, stale)))


def _of(count: int, total: int, what: str) -> str:
    colour = "green" if count >= total else "bold yellow"
    return f"[{colour}]{count:,}/{total:,}[/] {what}"


def _cells(totals: metrics_pb2.ClusterStats) -> Iterable[tuple[str, ...]]:
    failures = totals.failures
    failed = f"{quantities.decimal(failures.refused)} refused, {quantities.decimal(failures.server)} failed"
    reads, writes = totals.read_latency, totals.write_latency
    yield (
        f"reads [bold]{quantities.shown(Figure.READS, totals.reads)}[/]",
        f"writes [bold]{quantities.shown(Figure.WRITES, totals.writes)}[/]",
        f"scanned [bold]{quantities.shown(Figure.SCANNED, totals.scanned)}[/]",
        f"time [bold]{quantities.shown(Figure.TIME, totals.time)}[/]",
    )
    yield (
        f"out {quantities.shown(Figure.READ_BYTES, totals.read_bytes)}",
        f"in {quantities.shown(Figure.WRITTEN_BYTES, totals.written_bytes)}",
        f"[{'red' if failures.server else 'default'}]{failed}/s[/]",
        f"lag {totals.lag_entries:,}",
    )
    yield (
        f"get p50 {quantities.seconds(reads.p50_s)} p99 {quantities.seconds(reads.p99_s)}",
        f"write p50 {quantities.seconds(writes.p50_s)} p99 {quantities.seconds(writes.p99_s)}",
        f"~{totals.records:,} records",
        f"~{size(totals.bytes)}",
    )


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
