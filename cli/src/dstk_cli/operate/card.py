"""Everything of one partition: the map's entry, the primary's figures, and every replica as it sees itself."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from dstk.v1 import admin_pb2
from dstk_cli.data import values
from dstk_cli.operate import comparing
from dstk_cli.operate.repairing import role_of
from dstk_cli.operate.replication import in_order, position, shown
from dstk_cli.operate.tables import table
from dstk_cli.operate.view import bounds, failures, in_sync, partition_json, replicas, state
from dstk_cli.untrusted import as_markup


@dataclass(frozen=True, slots=True)
class Whole:
    """What is known of a partition. `silent`: nodes that did not say what they have."""

    status: admin_pb2.PartitionStatus
    replicas: Sequence[admin_pb2.ReplicaStatus]
    silent: Sequence[str]
    wanted: int = 0


def as_json(whole: Whole) -> dict[str, Any]:
    """As one object."""
    return {**partition_json(whole.status), "on_nodes": [_replica_json(replica) for replica in whole.replicas]}


def fields(whole: Whole) -> Table:
    """The partition, a field a line."""
    status, entry = whole.status, whole.status.partition
    made = Table.grid(padding=(0, 2))
    made.add_column(style="dim")
    made.add_column(overflow="fold")
    start, end = bounds(entry)
    made.add_row("partition", f"[bold]{entry.id}[/]   {state(status)}")
    made.add_row("keys", f"from {as_markup(start)} up to {as_markup(end)}")
    made.add_row("epoch", str(entry.epoch))
    made.add_row("in sync", f"{in_sync(entry, whole.wanted)}   {replicas(entry)}")
    if status.known:
        size = values.size(status.estimated_bytes)
        made.add_row("holds", f"~{status.estimated_records:,} records, ~{size}, up to write {status.sequence:,}")
        made.add_row("served", f"{status.reads:,} reads, {status.writes:,} writes, {status.scanned:,} records scanned")
        made.add_row("failed reads", failures(status.read_failures))
        made.add_row("failed writes", failures(status.write_failures))
        made.add_row("compared", as_markup(comparing.said(status.comparison, time.time() * 1000)))
    return made


def on_nodes(whole: Whole) -> Table:
    """A line for each replica: by the map, by its node, and by its primary."""
    entry = whole.status.partition
    told = {replica.node: replica for replica in whole.replicas}
    followers = {follower.node: follower for follower in whole.status.followers}
    made = table("replica", "by the map", ">position", ">epoch", ">promised", ">heard of", "state")
    for name in dict.fromkeys([*in_order(entry), *told]):
        replica, follower = told.get(name), followers.get(name)
        heard = "-" if follower is None else f"{follower.silent_s:.1f} s ago"
        if replica is None:
            silent = "does not answer" if name in whole.silent else "has no replica"
            made.add_row(as_markup(name), role_of(entry, name), "-", "-", "-", heard, f"[bold red]{silent}[/]")
            continue
        where = [shown(position(replica)), str(replica.epoch), str(replica.promised)]
        made.add_row(as_markup(name), role_of(entry, name), *where, heard, _state(replica))
    return made


def _state(replica: admin_pb2.ReplicaStatus) -> str:
    if replica.quarantined:
        return "[bold red]lost, quarantined[/]" if replica.rebuilding else "[bold red]quarantined[/]"
    if replica.rebuilding:
        return "[yellow]being copied[/]"
    return "[green]primary[/]" if replica.primary else "[green]follows[/]"


def _replica_json(replica: admin_pb2.ReplicaStatus) -> dict[str, Any]:
    return {
        "node": replica.node,
        "epoch": replica.epoch,
        "position": list(position(replica)),
        "promised": replica.promised,
        "primary": replica.primary,
        "rebuilding": replica.rebuilding,
        "quarantined": replica.quarantined,
    }
