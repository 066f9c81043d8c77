"""`dstk nodes | partitions | split`: what operators ask."""

from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from dstk.v1 import admin_pb2, topology_pb2
from dstk_cli import console
from dstk_cli.command import guarded_async
from dstk_cli.data import connection, values
from dstk_cli.local.view import duration
from dstk_cli.options import DEFAULT_DATA_DIR, DEFAULT_TIMEOUT, DataDir, Output, OutputFormat, Router, Timeout
from dstk_keytypes import Key

_STATES = {
    topology_pb2.NODE_STATE_STARTING: "starting",
    topology_pb2.NODE_STATE_SERVING: "serving",
    topology_pb2.NODE_STATE_LEAVING: "leaving",
}


@guarded_async
async def nodes(
    *,
    router: Router = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    seconds: Timeout = DEFAULT_TIMEOUT,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Shows the storage nodes that are alive."""
    async with connection.find(router, data_dir, seconds).admin() as admin:
        answer = await admin.ListNodes(admin_pb2.ListNodesRequest(), timeout=seconds)
    if output is OutputFormat.JSON:
        console.json_line({"nodes": [_node(status) for status in answer.nodes]})
        return
    table = _table("id", "address", "zone", "state", ">partitions", ">disk free", ">up", "version")
    for status in answer.nodes:
        table.add_row(*_node_cells(status))
    console.out().print(table)


@guarded_async
async def partitions(
    *,
    router: Router = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    seconds: Timeout = DEFAULT_TIMEOUT,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Shows the partitions: key range, owner, estimated size, operations since the node started."""
    async with connection.find(router, data_dir, seconds).admin() as admin:
        answer = await admin.ListPartitions(admin_pb2.ListPartitionsRequest(), timeout=seconds)
    if output is OutputFormat.JSON:
        shown = [_partition(status) for status in answer.partitions]
        console.json_line({"partitions": shown, "unreachable_nodes": list(answer.unreachable_nodes)})
        return
    table = _table(
        "id", "start", "end", ">epoch", "primary", ">~records", ">~size", ">reads", ">writes", ">scanned", "state"
    )
    for status in answer.partitions:
        table.add_row(*_partition_cells(status))
    console.out().print(table)
    if answer.unreachable_nodes:
        console.note(f"[yellow]did not answer: {', '.join(answer.unreachable_nodes)}[/]")


@guarded_async
async def split(
    *,
    at: Annotated[str, typer.Argument(metavar="KEY", help="The key at which the upper half begins.")],
    router: Router = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    seconds: Timeout = DEFAULT_TIMEOUT,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Splits a partition in two at a key. No data moves, no request fails."""
    key = Key.parse(at)
    async with connection.find(router, data_dir, seconds).admin() as admin:
        answer = await admin.SplitPartition(admin_pb2.SplitPartitionRequest(at=key), timeout=seconds)
    if output is OutputFormat.JSON:
        console.json_line({"lower": _range(answer.lower), "upper": _range(answer.upper)})
        return
    table = _table("id", "start", "end", ">epoch", "primary")
    for half in (answer.lower, answer.upper):
        table.add_row(*map(escape, (str(half.id), *_bounds(half), str(half.epoch), half.primary)))
    console.out().print(table)


def _table(*titles: str) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in titles:
        table.add_column(title.lstrip(">"), justify="right" if title.startswith(">") else "left", overflow="fold")
    return table


def _bounds(partition: topology_pb2.Partition) -> tuple[str, str]:
    start = Key.unchecked(partition.start).display() if partition.start else "(first)"
    return start, Key.unchecked(partition.end).display() if partition.end else "(last)"


def _range(partition: topology_pb2.Partition) -> dict[str, Any]:
    return {
        "id": partition.id,
        "start": Key.unchecked(partition.start).display() if partition.start else None,
        "end": Key.unchecked(partition.end).display() if partition.end else None,
        "epoch": partition.epoch,
        "primary": partition.primary,
        "replicas": list(partition.replicas),
        "in_sync": list(partition.in_sync),
    }


def _partition(status: admin_pb2.PartitionStatus) -> dict[str, Any]:
    figures = (
        "serving",
        "estimated_records",
        "estimated_bytes",
        "sequence",
        "reads",
        "writes",
        "scanned",
        "errors",
        "known",
    )
    return {**_range(status.partition), **{name: getattr(status, name) for name in figures}}


def _partition_cells(status: admin_pb2.PartitionStatus) -> list[str]:
    partition = status.partition
    place = [str(partition.id), *map(escape, _bounds(partition)), str(partition.epoch), partition.primary]
    if not status.known:
        return [*place, *["-"] * 5, "[bold red]not answering[/]"]
    counts = [f"{status.reads:,}", f"{status.writes:,}", f"{status.scanned:,}"]
    state = "[green]serving[/]" if status.serving else "[yellow]not serving[/]"
    return [*place, f"{status.estimated_records:,}", values.size(status.estimated_bytes), *counts, state]


def _node(status: admin_pb2.NodeStatus) -> dict[str, Any]:
    node = status.node
    return {
        "id": node.id,
        "address": node.address,
        "zone": node.zone,
        "state": _STATES.get(node.state, "unknown"),
        "version": node.version,
        "primaries": status.primaries,
        "free_bytes": status.free_bytes,
        "read_only": status.read_only,
        "uptime_s": status.uptime_s,
    }


def _node_cells(status: admin_pb2.NodeStatus) -> list[str]:
    fields = _node(status)
    colour = "green" if fields["state"] == "serving" and not status.read_only else "yellow"
    state = f"[{colour}]{fields['state']}{', read-only' if status.read_only else ''}[/]"
    known = status.free_bytes > 0
    figures = [str(status.primaries), values.size(status.free_bytes), duration(status.uptime_s)] if known else ["-"] * 3
    return [fields["id"], fields["address"], escape(fields["zone"]) or "-", state, *figures, fields["version"]]
