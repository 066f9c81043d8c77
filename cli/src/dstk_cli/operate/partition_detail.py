"""One partition in detail: its map entry, its primary's figures, and every replica as its node reports it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from dstk.v1 import admin_pb2
from dstk_cli.messages import as_json, bounds
from dstk_cli.operate.partition_view import in_sync, partition_json, replicas, state
from dstk_cli.operate.repair_view import role_of
from dstk_cli.tables import table
from dstk_cli.untrusted import as_markup
from dstk_doctor.comparison_checks import since
from dstk_doctor.replication import in_order, position, shown
from dstk_service.figures import size


@dataclass(frozen=True, slots=True)
class PartitionDetail:
    """What is known of a partition. `silent`: nodes that did not answer. `wanted`: replicas in sync that it should have."""

    status: admin_pb2.PartitionStatus
    replicas: Sequence[admin_pb2.ReplicaStatus]
    silent: Sequence[str]
    wanted: int = 0


def detail_json(detail: PartitionDetail) -> dict[str, Any]:
    """Returns the partition as one object."""
    return {**partition_json(detail.status), "on_nodes": list(map(as_json, detail.replicas))}


def fields(detail: PartitionDetail) -> Table:
    """Returns the partition, one field a line."""
    made = Table.grid(padding=(0, 2))
    made.add_column(style="dim")
    made.add_column(overflow="fold")
    for name, text in {**_place(detail), **_figures(detail.status)}.items():
        made.add_row(name, text)
    return made


def _place(detail: PartitionDetail) -> dict[str, str]:
    entry = detail.status.partition
    start, end = map(as_markup, bounds(entry))
    return {
        "partition": f"[bold]{entry.id}[/]   {state(detail.status)}",
        "keys": f"from {start} to {end}",
        "epoch": str(entry.epoch),
        "in sync": f"{in_sync(entry, detail.wanted)}   {replicas(entry)}",
    }


def _figures(status: admin_pb2.PartitionStatus) -> dict[str, str]:
    if not status.known:
        return {}
    bytes_ = size(status.estimated_bytes)
    return {
        "holds": f"~{status.estimated_records:,} records, ~{bytes_}, sequence number {status.sequence:,}",
        "served": f"{status.reads:,} reads, {status.writes:,} writes, {status.scanned:,} records scanned",
        "failed reads": _by_class(status.read_failures),
        "failed writes": _by_class(status.write_failures),
        "compared": as_markup(comparison(status.comparison, time.time() * 1000)),
    }


def _by_class(counts: admin_pb2.FailureCounts) -> str:
    server = f"{counts.server:,} by the server"
    return f"{counts.client:,} by the client, {counts.refused:,} refused, {f'[red]{server}[/]' if counts.server else server}"


def comparison(found: admin_pb2.ComparisonStatus, now_ms: float) -> str:
    """Formats when the last background comparison ended, what it found, and the progress of a running one."""
    running = f"one is running: {found.progress:.0%} done" if found.running else ""
    if not found.completed_ms:
        return running or "no comparison known to the primary"
    ago = f"{_found(found)}, {since(found, now_ms)} ago; {found.records:,} records"
    return f"{ago}; {running}" if running else ago


def _found(found: admin_pb2.ComparisonStatus) -> str:
    nodes = ", ".join(found.nodes)
    match found.outcome:
        case admin_pb2.COMPARISON_OUTCOME_EQUAL:
            return "all replicas are equal"
        case admin_pb2.COMPARISON_OUTCOME_QUARANTINED:
            return f"{nodes} differed from a majority and is rebuilt"
        case admin_pb2.COMPARISON_OUTCOME_UNDECIDED:
            return f"{nodes} differ, and no majority agrees"
        case admin_pb2.COMPARISON_OUTCOME_INCOMPLETE:
            return f"nothing differs, but {nodes} could not be compared"
    return "an outcome unknown to this program"


def replica_table(detail: PartitionDetail) -> Table:
    """Returns a line for each replica: what the map, its own node and its primary say of it."""
    entry = detail.status.partition
    told = {replica.node: replica for replica in detail.replicas}
    heard = {each.node: f"{each.silent_s:.1f} s ago" for each in detail.status.followers}
    made = table("replica", "by the map", ">position", ">epoch", ">promised", ">last heard", "state")
    for name in dict.fromkeys([*in_order(entry), *told]):
        where, outcome = ("-", "-", "-"), _missing(detail, name)
        if (replica := told.get(name)) is not None:
            where, outcome = (shown(position(replica)), str(replica.epoch), str(replica.promised)), _state(replica)
        made.add_row(as_markup(name), role_of(entry, name), *where, heard.get(name, "-"), outcome)
    return made


def _missing(detail: PartitionDetail, name: str) -> str:
    return f"[bold red]{'does not answer' if name in detail.silent else 'has no replica'}[/]"


def _state(replica: admin_pb2.ReplicaStatus) -> str:
    if replica.quarantined:
        return "[bold red]lost, quarantined[/]" if replica.needs_snapshot else "[bold red]quarantined[/]"
    if replica.needs_snapshot:
        return "[yellow]being copied[/]"
    return "[green]primary[/]" if replica.primary else "[green]follower[/]"
