"""Partitions as tables and as JSON."""

from collections.abc import Iterable
from typing import Any

from rich.table import Table

from dstk.v1 import admin_pb2, topology_pb2
from dstk_cli import console
from dstk_cli.operate import comparison, failures
from dstk_cli.operate.tables import table
from dstk_cli.options import OutputFormat
from dstk_cli.untrusted import as_markup
from dstk_doctor.replication import in_order, is_short
from dstk_keytypes import Key
from dstk_service import figures

_SPARE_FIGURES = ("failed", "scanned", "writes", "reads", "~size", "~records", "epoch", "replicas", "in sync")
_FIGURES = (
    "serving",
    "estimated_records",
    "estimated_bytes",
    "sequence",
    "reads",
    "writes",
    "scanned",
    "known",
)


def key_or_none(key: bytes) -> str | None:
    """Returns the text form of a key; None for an empty one, which is no bound."""
    return Key.unchecked(key).display() if key else None


def bounds(place: topology_pb2.Partition | admin_pb2.KeyRange | admin_pb2.ReplicaStatus) -> tuple[str, str]:
    """Returns start and end of a range as text, without markup."""
    return key_or_none(place.start) or "(first)", key_or_none(place.end) or "(last)"


def entry_json(entry: topology_pb2.Partition) -> dict[str, Any]:
    """Returns the map's entry of a partition as one object."""
    return {
        "id": entry.id,
        "start": key_or_none(entry.start),
        "end": key_or_none(entry.end),
        "epoch": entry.epoch,
        "primary": entry.primary,
        "replicas": list(entry.replicas),
        "in_sync": list(entry.in_sync),
    }


def partition_json(status: admin_pb2.PartitionStatus) -> dict[str, Any]:
    """Returns a partition with its primary's figures as one object."""
    followers = [
        {"node": each.node, "sequence": each.sequence, "silent_s": each.silent_s, "needs_snapshot": each.needs_snapshot}
        for each in status.followers
    ]
    figures = {name: getattr(status, name) for name in _FIGURES}
    failed = {"reads": failures.as_json(status.read_failures), "writes": failures.as_json(status.write_failures)}
    compared = comparison.as_json(status.comparison)
    return {**entry_json(status.partition), **figures, "failed": failed, "followers": followers, "comparison": compared}


def entries(shown: Iterable[topology_pb2.Partition], wanted: int = 0) -> Table:
    """Returns a table of map entries. `wanted`: replicas in sync that each should have; 0: unknown."""
    made = table("id", "start", "end", ">epoch", ">in sync", "replicas", spare=_SPARE_FIGURES)
    for entry in shown:
        made.add_row(*_place(entry, wanted))
    return made


def partitions(shown: Iterable[admin_pb2.PartitionStatus], wanted: int) -> Table:
    """Returns a table of partitions with their primaries' figures. `wanted`: as in `entries`."""
    figures = (">~records", ">~size", ">reads", ">writes", ">scanned", ">failed", "state")
    made = table("id", "start", "end", ">epoch", ">in sync", "replicas", *figures, spare=_SPARE_FIGURES)
    for status in shown:
        made.add_row(*_place(status.partition, wanted), *_activity(status))
    return made


def replicas(entry: topology_pb2.Partition) -> str:
    """Formats the nodes of a partition: the primary first and bold, replicas that are not in sync in parentheses."""
    cells = []
    for name in in_order(entry):
        if name == entry.primary:
            cells.append(f"[bold]{as_markup(name)}[/]")
        elif name in entry.in_sync:
            cells.append(as_markup(name))
        else:
            cells.append(f"[yellow]({as_markup(name)})[/]")
    return " ".join(cells)


def in_sync(entry: topology_pb2.Partition, wanted: int) -> str:
    """Formats how many replicas are in sync, and how many should be."""
    count, aim = len(entry.in_sync), max(wanted, len(entry.replicas))
    if not is_short(entry, wanted):
        return f"[green]{count}/{aim}[/]"
    return f"[bold red]{count}/{aim}[/]" if count <= 1 else f"[yellow]{count}/{aim}[/]"


def state(status: admin_pb2.PartitionStatus) -> str:
    """Formats the state of the primary."""
    if not status.known:
        return "[bold red]not answering[/]"
    return "[green]serving[/]" if status.serving else "[yellow]not serving[/]"


def _place(entry: topology_pb2.Partition, wanted: int) -> list[str]:
    start, end = map(as_markup, bounds(entry))
    return [str(entry.id), start, end, str(entry.epoch), in_sync(entry, wanted), replicas(entry)]


def _activity(status: admin_pb2.PartitionStatus) -> list[str]:
    if not status.known:
        return [*["-"] * 6, state(status)]
    counts = [f"{count:,}" for count in (status.reads, status.writes, status.scanned)]
    counts.append(failures.total(status.read_failures, status.write_failures))
    return [f"{status.estimated_records:,}", figures.size(status.estimated_bytes), *counts, state(status)]


def show_entry(entry: topology_pb2.Partition, output: OutputFormat, done: str) -> None:
    """Prints what was `done` to a partition, and its new map entry."""
    if output is OutputFormat.JSON:
        console.json_line(entry_json(entry))
        return
    console.out().print(f"[green]{as_markup(done)}[/] partition {entry.id}")
    console.out().print(entries([entry]))
