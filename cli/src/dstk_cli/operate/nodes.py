"""`dstk nodes`: what there is, and what is wanted of each."""

import asyncio
from typing import Annotated

import typer

from dstk.v1 import admin_pb2
from dstk_cli import console
from dstk_cli.command import guarded_async
from dstk_cli.errors import USAGE, CliError
from dstk_cli.operate import leaving, view
from dstk_cli.operate.cluster import Cluster, reach
from dstk_cli.operate.compact import compact
from dstk_cli.operate.group import OPERATE_TIMEOUT, group
from dstk_cli.operate.replication import WISHES
from dstk_cli.options import DEFAULT_DATA_DIR, DEFAULT_TIMEOUT, Apply, DataDir, Output, OutputFormat, Router, Timeout
from dstk_cli.untrusted import as_markup
from dstk_service import admin_requests

_CORDONED, _DRAINED = admin_pb2.NODE_WISH_CORDONED, admin_pb2.NODE_WISH_DRAINED
_NONE, _REMOVED = admin_pb2.NODE_WISH_NONE, admin_pb2.NODE_WISH_REMOVED

Name = Annotated[str, typer.Argument(metavar="NODE", help="Its id, as `dstk nodes` shows it.")]
Wait = Annotated[bool, typer.Option("--wait", help="Return when nothing is left on it; Ctrl-C only stops the waiting.")]

_HELP = """
The storage nodes, and what is wanted of each. Without a command: lists them.

A wish is kept in etcd; the controller brings it about (`dstk controller status`), also if nobody waits for it.
"""
_EXAMPLES = """
[bold]Examples[/]

  dstk nodes                                      all nodes, also those that are gone

  dstk nodes cordon storage-2                     it keeps what it has and is given nothing new

  dstk nodes drain storage-2 --wait               empty it, to stop it for maintenance

  dstk nodes uncordon storage-2                   it takes its share again

  dstk nodes remove storage-2                     it will not come back: shows what that means; --yes does it

  dstk nodes replace storage-2 storage-4 --wait   its replicas go to storage-4 first of all

  dstk nodes compact storage-2                    what was deleted gives its space back at once
"""

app = group(_HELP, _EXAMPLES)
app.command()(compact)


@app.command("list")
@guarded_async
async def list_(
    *,
    router: Router = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    seconds: Timeout = DEFAULT_TIMEOUT,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Shows the nodes that are alive, and those that the map or a wish names and that are gone."""
    async with reach(router, data_dir, seconds) as cluster:
        nodes = await cluster.nodes()
    if output is OutputFormat.JSON:
        console.json_line({"nodes": list(map(view.node_json, nodes))})
        return
    console.out().print(view.nodes(nodes))


@app.command()
@guarded_async
async def cordon(
    *,
    node: Name,
    router: Router = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    seconds: Timeout = OPERATE_TIMEOUT,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Gives a node nothing new. What it has stays, and it goes on serving."""
    async with reach(router, data_dir, seconds) as cluster:
        await _wish(cluster, node, _CORDONED)
    _say(output, node, _CORDONED, "it keeps what it has and is given nothing new")


@app.command()
@guarded_async
async def uncordon(
    *,
    node: Name,
    router: Router = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    seconds: Timeout = OPERATE_TIMEOUT,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Takes back whatever was wanted of a node: it takes its share again."""
    async with reach(router, data_dir, seconds) as cluster:
        await _wish(cluster, node, _NONE)
    _say(output, node, _NONE, "nothing in particular is wanted of it: it takes its share")


@app.command()
@guarded_async
async def drain(
    *,
    node: Name,
    wait: Wait = False,
    router: Router = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    seconds: Timeout = OPERATE_TIMEOUT,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Has everything moved off a node, without a failed request. It keeps running."""
    async with reach(router, data_dir, seconds) as cluster:
        await _wish(cluster, node, _DRAINED)
        if wait:
            await leaving.until_left(cluster, node)
    what = "nothing is left on it: it can be stopped" if wait else "the controller moves everything off it"
    _say(output, node, _DRAINED, what)


@app.command()
@guarded_async
async def remove(
    *,
    node: Name,
    apply: Apply = False,
    router: Router = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    seconds: Timeout = OPERATE_TIMEOUT,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Says that a node is gone for good: its replicas are made anew elsewhere at once.

    Without --yes it only shows what that means. For a node that still runs, `drain` is the gentle way.
    """
    async with reach(router, data_dir, seconds) as cluster:
        what = await _removal(cluster, node)
        if apply:
            await cluster.wish(node, _REMOVED)
    _show_removal(what, output, apply=apply)


@app.command()
@guarded_async
async def replace(
    *,
    old: Annotated[str, typer.Argument(metavar="OLD", help="The node whose replicas are to go.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="The node that they are to go to first of all.")],
    apply: Apply = False,
    wait: Wait = False,
    router: Router = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    seconds: Timeout = OPERATE_TIMEOUT,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Has one node take another's place.

    One that is alive is drained, which can be taken back. One that is gone is removed, which needs --yes.
    """
    admin_requests.node(old)
    async with reach(router, data_dir, seconds) as cluster:
        await _must_be_alive(cluster, new)
        what = await _removal(cluster, old)
        if not what.node.alive and not apply:
            _show_removal(what, output, apply=False)
            return
        wish = _DRAINED if what.node.alive else _REMOVED
        await cluster.wish(old, wish, new)
        if wait:
            await leaving.until_left(cluster, old)
    _say(output, old, wish, f"nothing is left on it: {new} has its place" if wait else f"its replicas go to {new}")


async def _wish(cluster: Cluster, name: str, wish: admin_pb2.NodeWish.ValueType) -> None:
    await _known(cluster, name)
    await cluster.wish(name, wish)


async def _known(cluster: Cluster, name: str) -> admin_pb2.NodeStatus:
    """The node's status. Raises CliError for one that nobody has heard of: it is a typing mistake."""
    admin_requests.node(name)
    nodes = await cluster.nodes()
    found = next((status for status in nodes if status.node.id == name), None)
    if found is None:
        known = ", ".join(status.node.id for status in nodes) or "none"
        raise CliError(f"there is no node {name!r}", f"known are: {known}", USAGE)
    return found


async def _must_be_alive(cluster: Cluster, name: str) -> None:
    if not (await _known(cluster, name)).alive:
        raise CliError(f"{name} is not alive", "start it, then try again")


async def _removal(cluster: Cluster, name: str) -> leaving.Removal:
    status, entries = await asyncio.gather(_known(cluster, name), cluster.entries())
    return leaving.removal(status, entries)


def _say(output: OutputFormat, name: str, wish: admin_pb2.NodeWish.ValueType, meaning: str) -> None:
    if output is OutputFormat.JSON:
        console.json_line({"node": name, "wish": WISHES[wish]})
    else:
        console.out().print(f"[bold]{as_markup(name)}[/] wish [green]{WISHES[wish]}[/]: {as_markup(meaning)}")


def _show_removal(what: leaving.Removal, output: OutputFormat, *, apply: bool) -> None:
    name = what.node.node.id
    if output is OutputFormat.JSON:
        held, last = ([entry.id for entry in entries] for entries in (what.held, what.last))
        console.json_line({"node": name, "alive": what.node.alive, "held": held, "only_there": last, "applied": apply})
        return
    if what.held:
        console.out().print(view.entries(what.held))
        console.out().print()
    alive = "[yellow]is alive[/]: `dstk nodes drain` is the gentle way" if what.node.alive else "is gone"
    console.out().print(f"[bold]{as_markup(name)}[/] {alive}; by the map it holds {len(what.held)} replicas")
    if what.last:
        numbers = ", ".join(str(entry.id) for entry in what.last)
        console.out().print(
            f"[bold red]no other replica in sync[/] of partition {numbers}: they stay where they are until the node is "
            "back, or `dstk partitions repair ID --force-primary NODE` takes another replica for the truth"
        )
    if apply:
        console.out().print("[green]removed[/]: its replicas are made anew elsewhere")
    else:
        console.note("[dim]nothing was done; --yes has its replicas made anew elsewhere at once[/]")
