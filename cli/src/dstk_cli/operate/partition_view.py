"""Partitions as tables and as JSON."""

from collections.abc import Callable, Iterable
from typing import Any

from rich.table import Table

from dstk.v1 import admin_pb2, topology_pb2
from dstk_cli.messages import as_json, bounds
from dstk_cli.session import Session
from dstk_cli.tables import Columns, listing
from dstk_cli.untrusted import as_markup
from dstk_doctor.replication import in_order, is_short
from dstk_service.figures import size

Entry = topology_pb2.Partition
Status = admin_pb2.PartitionStatus

_SPARE_FIGURES = ("failed", "scanned", "writes", "reads", "~size", "~records", "epoch", "replicas", "in sync")


def partition_json(status: Status) -> dict[str, Any]:
    """Returns a partition with its primary's figures as one object."""
    return as_json(status, flat="partition")


def replicas(entry: Entry) -> str:
    """Formats the nodes of a partition: the primary first and bold, replicas that are not in sync in parentheses."""
    cells = []
    for name in in_order(entry):
        shown = as_markup(name)
        if name == entry.primary:
            shown = f"[bold]{shown}[/]"
        elif name not in entry.in_sync:
            shown = f"[yellow]({shown})[/]"
        cells.append(shown)
    return " ".join(cells)


def in_sync(entry: Entry, wanted: int) -> str:
    """Formats how many replicas are in sync, and how many should be."""
    count, aim = len(entry.in_sync), max(wanted, len(entry.replicas))
    colour = "green" if not is_short(entry, wanted) else "bold red" if count <= 1 else "yellow"
    return f"[{colour}]{count}/{aim}[/]"


def state(status: Status) -> str:
    """Formats the state of the primary."""
    if not status.known:
        return "[bold red]not answering[/]"
    return "[green]serving[/]" if status.serving else "[yellow]not serving[/]"


def failures(*counts: admin_pb2.FailureCounts) -> str:
    """Formats the number of failed operations of all classes; red if any failed at the server."""
    number = sum(each.client + each.refused + each.server for each in counts)
    return f"[red]{number:,}[/]" if any(each.server for each in counts) else f"{number:,}"


def _columns(wanted: int) -> Columns[Entry]:
    return {
        "id": lambda entry: str(entry.id),
        "start": lambda entry: as_markup(bounds(entry)[0]),
        "end": lambda entry: as_markup(bounds(entry)[1]),
        ">epoch": lambda entry: str(entry.epoch),
        ">in sync": lambda entry: in_sync(entry, wanted),
        "replicas": replicas,
    }


def _figure(cell: Callable[[Status], str]) -> Callable[[Status], str]:
    """A figure that only the primary knows."""
    return lambda status: cell(status) if status.known else "-"


_FIGURES: Columns[Status] = {
    ">~records": _figure(lambda status: f"{status.estimated_records:,}"),
    ">~size": _figure(lambda status: size(status.estimated_bytes)),
    ">reads": _figure(lambda status: f"{status.reads:,}"),
    ">writes": _figure(lambda status: f"{status.writes:,}"),
    ">scanned": _figure(lambda status: f"{status.scanned:,}"),
    ">failed": _figure(lambda status: failures(status.read_failures, status.write_failures)),
    "state": state,
}


def entries(shown: Iterable[Entry], wanted: int = 0) -> Table:
    """Returns a table of map entries. `wanted`: replicas in sync that each should have; 0: unknown."""
    return listing(_columns(wanted), shown, spare=_SPARE_FIGURES)


def partitions(shown: Iterable[Status], wanted: int) -> Table:
    """Returns a table of partitions with their primaries' figures. `wanted`: as in `entries`."""
    place: Columns[Status] = {title: _of_entry(cell) for title, cell in _columns(wanted).items()}
    return listing({**place, **_FIGURES}, shown, spare=_SPARE_FIGURES)


def _of_entry(cell: Callable[[Entry], str]) -> Callable[[Status], str]:
    return lambda status: cell(status.partition)


def show_entry(session: Session, entry: Entry, done: str) -> None:
    """Prints what was `done` to a partition, and its new map entry."""
    session.show(as_json(entry), f"[green]{as_markup(done)}[/] partition {entry.id}", entries([entry]))
