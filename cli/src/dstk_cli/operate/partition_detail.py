"""One partition in detail: its map entry, its primary's figures, and every replica as its node reports it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from dstk.v1 import admin_pb2
from dstk_cli.operate import comparison, failures
from dstk_cli.operate.partition_view import bounds, in_sync, partition_json, replicas, state
from dstk_cli.operate.repair_view import role_of
from dstk_cli.operate.tables import table
from dstk_cli.untrusted import as_markup
from dstk_doctor.replication import in_order, position, shown
from dstk_service import figures


@dataclass(frozen=True, slots=True)
class PartitionDetail:
    """What is known of a partition. `silent`: nodes that did not answer. `wanted`: replicas in sync that it should have."""

    status: admin_pb2.PartitionStatus
    replicas: Sequence[admin_pb2.ReplicaStatus]
    silent: Sequence[str]
    wanted: int = 0


def as_json(detail: PartitionDetail) -> dict[str, Any]:
    """Returns the partition as one object."""
    return {**partition_json(detail.status), "on_nodes": [_replica_json(replica) for replica in detail.replicas]}


def fields(detail: PartitionDetail) -> Table:
    """Returns the partition, one field a line."""
    status, entry = detail.status, detail.status.partition
    made = Table.grid(padding=(0, 2))
    made.add_column(style="dim")
    made.add_column(overflow="fold")
    start, end = bounds(entry)
    made.add_row("partition", f"[bold]{entry.id}[/]   {state(status)}")
    made.add_row("keys", f"from {as_markup(start)} to {as_markup(end)}")
    made.add_row("epoch", str(entry.epoch))
    made.add_row("in sync", f"{in_sync(entry, detail.wanted)}   {replicas(entry)}")
    if status.known:
        size = figures.size(status.estimated_bytes)
        made.add_row("holds", f"~{status.estimated_records:,} records, ~{size}, sequence number {status.sequence:,}")
        made.add_row("served", f"{status.reads:,} reads, {status.writes:,} writes, {status.scanned:,} records scanned")
        made.add_row("failed reads", failures.by_class(status.read_failures))
        made.add_row("failed writes", failures.by_class(status.write_failures))
        made.add_row("compared", as_markup(comparison.summary(status.comparison, time.time() * 1000)))
    return made


def replica_table(detail: PartitionDetail) -> Table:
    """Returns a line for each replica: what the map, its own node and its primary say of it."""
    entry = detail.status.partition
    told = {replica.node: replica for replica in detail.replicas}
    followers = {follower.node: follower for follower in detail.status.followers}
    made = table("replica", "by the map", ">position", ">epoch", ">promised", ">last heard", "state")
    for name in dict.fromkeys([*in_order(entry), *told]):
        replica, follower = told.get(name), followers.get(name)
        heard = "-" if follower is None else f"{follower.silent_s:.1f} s ago"
        if replica is None:
            silent = "does not answer" if name in detail.silent else "has no replica"
            made.add_row(as_markup(name), role_of(entry, name), "-", "-", "-", heard, f"[bold red]{silent}[/]")
            continue
        where = [shown(position(replica)), str(replica.epoch), str(replica.promised)]
        made.add_row(as_markup(name), role_of(entry, name), *where, heard, _state(replica))
    return made


def _state(replica: admin_pb2.ReplicaStatus) -> str:
    if replica.quarantined:
        return "[bold red]lost, quarantined[/]" if replica.needs_snapshot else "[bold red]quarantined[/]"
    if replica.needs_snapshot:
        return "[yellow]being copied[/]"
    return "[green]primary[/]" if replica.primary else "[green]follower[/]"


def _replica_json(replica: admin_pb2.ReplicaStatus) -> dict[str, Any]:
    return {
        "node": replica.node,
        "epoch": replica.epoch,
        "position": list(position(replica)),
        "promised": replica.promised,
        "primary": replica.primary,
        "needs_snapshot": replica.needs_snapshot,
        "quarantined": replica.quarantined,
    }
