"""`dstk nodes`: lists the nodes and sets their desired states."""

import asyncio
from typing import Annotated

import typer

from dstk.v1 import admin_pb2
from dstk_cli import console
from dstk_cli.connected import Connection, connected
from dstk_cli.errors import USAGE, CliError
from dstk_cli.operate import drain as draining
from dstk_cli.operate import node_view, partition_view
from dstk_cli.operate.cluster import OperatorClient, reach
from dstk_cli.operate.command_group import OPERATE_TIMEOUT, group
from dstk_cli.operate.compact import compact
from dstk_cli.operate.node_view import DESIRED_STATES
from dstk_cli.options import Apply, Output, OutputFormat
from dstk_cli.untrusted import as_markup
from dstk_service import admin_requests

_CORDONED, _DRAINED = admin_pb2.DESIRED_STATE_CORDONED, admin_pb2.DESIRED_STATE_DRAINED
_ACTIVE, _REMOVED = admin_pb2.DESIRED_STATE_ACTIVE, admin_pb2.DESIRED_STATE_REMOVED

Name = Annotated[str, typer.Argument(metavar="NODE", help="Node id, as `dstk nodes` shows it.")]
Wait = Annotated[
    bool, typer.Option("--wait", help="Wait until the node holds no replica. Ctrl-C stops the wait, not the drain.")
]

_HELP = """
Storage nodes and their desired states. Without a command: lists the nodes.

etcd keeps the desired state of a node, and the controller brings it about (`dstk controller status`).
"""
_EXAMPLES = """
[bold]Examples[/]

  dstk nodes                                      all nodes, also gone ones

  dstk nodes cordon storage-2                     place no new replicas on it

  dstk nodes drain storage-2 --wait               empty it for maintenance

  dstk nodes uncordon storage-2                   let it take its share again

  dstk nodes remove storage-2                     show effects; --yes removes

  dstk nodes replace storage-2 storage-4 --wait   move its replicas there

  dstk nodes compact storage-2                    free deleted records' space
"""

app = group(_HELP, _EXAMPLES)


@app.command("list")
@connected()
async def list_(
    connection: Connection,
    *,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Lists the nodes that are alive, and gone nodes that the map or a desired state names."""
    async with reach(connection.target()) as cluster:
        nodes = await cluster.nodes()
    if output is OutputFormat.JSON:
        console.json_line({"nodes": list(map(node_view.as_json, nodes))})
        return
    console.out().print(node_view.table_of(nodes))


@app.command()
@connected(OPERATE_TIMEOUT)
async def cordon(
    connection: Connection,
    *,
    node: Name,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Places no new replicas on a node. It keeps and serves those it has."""
    async with reach(connection.target()) as cluster:
        await _set(cluster, node, _CORDONED)
    _say(output, node, _CORDONED, "it keeps its replicas and receives no new ones")


@app.command()
@connected(OPERATE_TIMEOUT)
async def uncordon(
    connection: Connection,
    *,
    node: Name,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Makes a node active again after `cordon`, `drain` or `remove`: it takes its share of the partitions."""
    async with reach(connection.target()) as cluster:
        await _set(cluster, node, _ACTIVE)
    _say(output, node, _ACTIVE, "it takes its share of the partitions")


@app.command()
@connected(OPERATE_TIMEOUT)
async def drain(
    connection: Connection,
    *,
    node: Name,
    wait: Wait = False,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Moves all replicas off a node. No request fails, and the node keeps running."""
    async with reach(connection.target()) as cluster:
        await _set(cluster, node, _DRAINED)
        if wait:
            await draining.until_left(cluster, node)
    what = "it holds no replica and can be stopped" if wait else "the controller moves its replicas to other nodes"
    _say(output, node, _DRAINED, what)


@app.command()
@connected(OPERATE_TIMEOUT)
async def remove(
    connection: Connection,
    *,
    node: Name,
    apply: Apply = False,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Removes a node that is gone for good: the controller rebuilds its replicas elsewhere at once.

    Without --yes, shows the effects and changes nothing. For a node that still runs, `drain` is safer.
    """
    async with reach(connection.target()) as cluster:
        what = await _removal(cluster, node)
        if apply:
            await cluster.set_desired_state(node, _REMOVED)
    _show_removal(what, output, apply=apply)


@app.command()
@connected(OPERATE_TIMEOUT)
async def replace(
    connection: Connection,
    *,
    old: Annotated[str, typer.Argument(metavar="OLD", help="The node to replace.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="The preferred target for its replicas.")],
    apply: Apply = False,
    wait: Wait = False,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Moves the replicas of one node to another.

    Drains OLD if it is alive; `uncordon` undoes that. Removes OLD if it is gone, which needs --yes.
    """
    admin_requests.node(old)
    async with reach(connection.target()) as cluster:
        await _must_be_alive(cluster, new)
        what = await _removal(cluster, old)
        if not what.node.alive and not apply:
            _show_removal(what, output, apply=False)
            return
        state = _DRAINED if what.node.alive else _REMOVED
        await cluster.set_desired_state(old, state, new)
        if wait:
            await draining.until_left(cluster, old)
    _say(output, old, state, "it holds no replica any more" if wait else f"its replicas move to {new}")


app.command()(compact)


async def _set(cluster: OperatorClient, name: str, state: admin_pb2.DesiredState.ValueType) -> None:
    await _known(cluster, name)
    await cluster.set_desired_state(name, state)


async def _known(cluster: OperatorClient, name: str) -> admin_pb2.NodeStatus:
    """Returns the node's status. Raises CliError for an unknown node, which is most likely a typing mistake."""
    admin_requests.node(name)
    nodes = await cluster.nodes()
    found = next((status for status in nodes if status.node.id == name), None)
    if found is None:
        known = ", ".join(status.node.id for status in nodes) or "none"
        raise CliError(f"there is no node {name!r}", f"known nodes: {known}", USAGE)
    return found


async def _must_be_alive(cluster: OperatorClient, name: str) -> None:
    if not (await _known(cluster, name)).alive:
        raise CliError(f"{name} is not alive", "start it and try again")


async def _removal(cluster: OperatorClient, name: str) -> draining.Removal:
    status, entries = await asyncio.gather(_known(cluster, name), cluster.entries())
    return draining.removal(status, entries)


def _say(output: OutputFormat, name: str, state: admin_pb2.DesiredState.ValueType, meaning: str) -> None:
    word = DESIRED_STATES[state]
    if output is OutputFormat.JSON:
        console.json_line({"node": name, "desired_state": word})
    else:
        console.out().print(f"[bold]{as_markup(name)}[/] desired state: [green]{word}[/]; {as_markup(meaning)}")


def _show_removal(what: draining.Removal, output: OutputFormat, *, apply: bool) -> None:
    name = what.node.node.id
    if output is OutputFormat.JSON:
        held, last = ([entry.id for entry in entries] for entries in (what.held, what.last))
        console.json_line({"node": name, "alive": what.node.alive, "held": held, "only_there": last, "applied": apply})
        return
    if what.held:
        console.out().print(partition_view.entries(what.held))
        console.out().print()
    alive = "[yellow]is alive[/]: `dstk nodes drain` is safer" if what.node.alive else "is gone"
    console.out().print(f"[bold]{as_markup(name)}[/] {alive}; it holds {len(what.held)} replicas by the map")
    if what.last:
        numbers = ", ".join(str(entry.id) for entry in what.last)
        console.out().print(
            f"[bold red]no other replica in sync[/] of partition {numbers}: they stay on this node. Start it again, or "
            "accept lost writes: `dstk partitions repair ID --force-primary NODE`"
        )
    if apply:
        console.out().print("[green]removed[/]: the controller rebuilds its replicas elsewhere")
    else:
        console.note("[dim]nothing was changed; --yes removes the node and rebuilds its replicas elsewhere[/]")
