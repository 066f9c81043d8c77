"""Nodes and partitions for people, and as JSON for programs."""

from collections.abc import Iterable
from typing import Any

from rich.table import Table

from dstk.v1 import admin_pb2, topology_pb2
from dstk_cli import console
from dstk_cli.data import values
from dstk_cli.local.view import duration
from dstk_cli.operate import comparing
from dstk_cli.operate.replication import DESIRED_STATES, in_order, is_short
from dstk_cli.operate.tables import table
from dstk_cli.options import OutputFormat
from dstk_cli.untrusted import as_markup
from dstk_keytypes import Key

_STATES = {
    topology_pb2.NODE_STATE_STARTING: "starting",
    topology_pb2.NODE_STATE_SERVING: "serving",
    topology_pb2.NODE_STATE_LEAVING: "leaving",
}
_SPARE_FIGURES = ("failed", "scanned", "writes", "reads", "~size", "~records", "epoch", "replicas", "in sync")
_SPARE_OF_NODES = (
    "misrouted",
    "version",
    "up",
    "zone",
    "desired",
    "~size",
    "replicas",
    "primaries",
    "disk free",
    "address",
)
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
    """A bound for programs."""
    return Key.unchecked(key).display() if key else None


def bounds(place: topology_pb2.Partition | admin_pb2.KeyRange | admin_pb2.ReplicaStatus) -> tuple[str, str]:
    """Start and end for people, without markup."""
    return key_or_none(place.start) or "(first)", key_or_none(place.end) or "(last)"


def entry_json(entry: topology_pb2.Partition) -> dict[str, Any]:
    """A partition as the map has it."""
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
    """A partition with its primary's figures."""
    followers = [
        {"node": each.node, "sequence": each.sequence, "silent_s": each.silent_s, "rebuilding": each.rebuilding}
        for each in status.followers
    ]
    figures = {name: getattr(status, name) for name in _FIGURES}
    failed = {"reads": failures_json(status.read_failures), "writes": failures_json(status.write_failures)}
    compared = comparing.as_json(status.comparison)
    return {**entry_json(status.partition), **figures, "failed": failed, "followers": followers, "comparison": compared}


def failures(counts: admin_pb2.FailureCounts) -> str:
    """Failed operations by class, for people."""
    server = f"{counts.server:,} by the server"
    return f"{counts.client:,} by the client, {counts.refused:,} refused, {f'[red]{server}[/]' if counts.server else server}"


def failures_json(counts: admin_pb2.FailureCounts) -> dict[str, int]:
    """Failed operations by class, for programs."""
    return {"client": counts.client, "refused": counts.refused, "server": counts.server}


def _failed(*counts: admin_pb2.FailureCounts) -> str:
    """How many operations failed, of all classes; red where the server failed."""
    total = sum(each.client + each.refused + each.server for each in counts)
    return f"[red]{total:,}[/]" if any(each.server for each in counts) else f"{total:,}"


def entries(shown: Iterable[topology_pb2.Partition], wanted: int = 0) -> Table:
    """Partitions as the map has them."""
    made = table("id", "start", "end", ">epoch", ">in sync", "replicas", spare=_SPARE_FIGURES)
    for entry in shown:
        made.add_row(*_place(entry, wanted))
    return made


def partitions(shown: Iterable[admin_pb2.PartitionStatus], wanted: int) -> Table:
    """Partitions with their primaries' figures; `wanted`: replicas in sync that each should have, 0: not known."""
    figures = (">~records", ">~size", ">reads", ">writes", ">scanned", ">failed", "state")
    made = table("id", "start", "end", ">epoch", ">in sync", "replicas", *figures, spare=_SPARE_FIGURES)
    for status in shown:
        made.add_row(*_place(status.partition, wanted), *_activity(status))
    return made


def replicas(entry: topology_pb2.Partition) -> str:
    """Its nodes on one line: the primary first and bold, those that are not in sync in parentheses."""
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
    """How many replicas are in sync of how many there should be."""
    count, aim = len(entry.in_sync), max(wanted, len(entry.replicas))
    if not is_short(entry, wanted):
        return f"[green]{count}/{aim}[/]"
    return f"[bold red]{count}/{aim}[/]" if count <= 1 else f"[yellow]{count}/{aim}[/]"


def state(status: admin_pb2.PartitionStatus) -> str:
    """What the primary does."""
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
    counts.append(_failed(status.read_failures, status.write_failures))
    return [f"{status.estimated_records:,}", values.size(status.estimated_bytes), *counts, state(status)]


def show_entry(entry: topology_pb2.Partition, output: OutputFormat, done: str) -> None:
    """Prints what a partition has become, and what was `done` to it."""
    if output is OutputFormat.JSON:
        console.json_line(entry_json(entry))
        return
    console.out().print(f"[green]{as_markup(done)}[/] partition {entry.id}")
    console.out().print(entries([entry]))


def node_json(status: admin_pb2.NodeStatus) -> dict[str, Any]:
    """A node."""
    node = status.node
    return {
        "id": node.id,
        "address": node.address,
        "zone": node.zone,
        "state": node_state(status),
        "version": node.version,
        "primaries": status.primaries,
        "replicas": status.replicas,
        "estimated_bytes": status.estimated_bytes,
        "free_bytes": status.free_bytes,
        "capacity_bytes": node.capacity_bytes,
        "read_only": status.read_only,
        "takes_deletions": status.takes_deletions,
        "disk_reserve_bytes": status.disk_reserve_bytes,
        "reclaimable_bytes": status.reclaimable_bytes,
        "uptime_s": status.uptime_s,
        "clock_ms": status.clock_ms,
        "etcd_reachable": status.etcd_reachable,
        "alive": status.alive,
        "desired_state": DESIRED_STATES[status.desired_state],
        "misrouted": {
            "reads": failures_json(status.misrouted_reads),
            "writes": failures_json(status.misrouted_writes),
        },
        "engine": _engine_json(status.engine),
    }


def _engine_json(engine: admin_pb2.EngineStatus) -> dict[str, Any]:
    reason, kept = engine.replaced_reason or None, list(engine.kept)
    return {"id": engine.id, "made_at_ms": engine.made_at_ms, "replaced_reason": reason, "kept": kept}


def has_told(status: admin_pb2.NodeStatus) -> bool:
    """Whether the figures are the node's own: one that is alive may still not have answered."""
    return status.alive and (status.free_bytes > 0 or status.uptime_s > 0 or status.clock_ms > 0)


def node_state(status: admin_pb2.NodeStatus) -> str:
    """What a node does, in a word or two."""
    if not status.alive:
        return "gone"
    return _STATES.get(status.node.state, "unknown") if has_told(status) else "not answering"


def nodes(shown: Iterable[admin_pb2.NodeStatus]) -> Table:
    """Nodes with what they hold."""
    made = table(
        "id",
        "address",
        "zone",
        "state",
        "desired",
        ">primaries",
        ">replicas",
        ">~size",
        ">disk free",
        ">misrouted",
        ">up",
        "version",
        spare=_SPARE_OF_NODES,
    )
    for status in shown:
        made.add_row(*_node_cells(status))
    return made


def _node_cells(status: admin_pb2.NodeStatus) -> list[str]:
    node, told = status.node, has_told(status)
    figures = ["-"] * 6
    if told:
        sizes = values.size(status.estimated_bytes), values.size(status.free_bytes)
        misrouted = _failed(status.misrouted_reads, status.misrouted_writes)
        figures = [str(status.primaries), str(status.replicas), *sizes, misrouted, duration(status.uptime_s)]
    place = [as_markup(node.id), as_markup(node.address) or "-", as_markup(node.zone) or "-"]
    return [
        *place,
        _node_state_cell(status),
        _desired_cell(status.desired_state),
        *figures,
        as_markup(node.version) or "-",
    ]


def _node_state_cell(status: admin_pb2.NodeStatus) -> str:
    word = node_state(status)
    troubles = [
        *(["read-only"] if status.read_only else []),
        *(["engine replaced"] if status.engine.replaced_reason and status.engine.kept else []),
        *(["no etcd"] if has_told(status) and not status.etcd_reachable else []),
    ]
    colour = {"serving": "green", "gone": "bold red", "not answering": "bold red"}.get(word, "yellow")
    return f"[{'yellow' if troubles else colour}]{', '.join([word, *troubles])}[/]"


def _desired_cell(state: admin_pb2.DesiredState.ValueType) -> str:
    word = DESIRED_STATES[state]
    return "-" if word in {"active", "unknown"} else f"[yellow]{word}[/]"
