"""`dstk nodes`: lists the nodes and sets their desired states."""

from typing import Annotated

import typer

from dstk.v1 import admin_pb2
from dstk_cli.errors import CliError
from dstk_cli.help import examples
from dstk_cli.operate import node_view, removal
from dstk_cli.operate.command_group import OPERATE_TIMEOUT, group
from dstk_cli.operate.compact import compact
from dstk_cli.operate.drain import until_empty
from dstk_cli.options import Apply
from dstk_cli.session import Session, connected
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
_EXAMPLES = examples("""
  dstk nodes                                      all nodes, also gone ones
  dstk nodes cordon storage-2                     place no new replicas on it
  dstk nodes drain storage-2 --wait               empty it for maintenance
  dstk nodes uncordon storage-2                   let it take its share again
  dstk nodes remove storage-2                     show effects; --yes removes
  dstk nodes replace storage-2 storage-4 --wait   move its replicas there
  dstk nodes compact storage-2                    free deleted records' space
""")

app = group(_HELP, _EXAMPLES)


@app.command("list")
@connected()
async def list_(session: Session) -> None:
    """Lists the nodes that are alive, and gone nodes that the map or a desired state names."""
    async with session.cluster() as cluster:
        nodes = await cluster.nodes()
    session.show({"nodes": list(map(node_view.node_json, nodes))}, node_view.nodes(nodes))


@app.command()
@connected(OPERATE_TIMEOUT)
async def cordon(session: Session, node: Name) -> None:
    """Places no new replicas on a node. It keeps and serves those it has."""
    await _set(session, node, _CORDONED, "it keeps its replicas and receives no new ones")


@app.command()
@connected(OPERATE_TIMEOUT)
async def uncordon(session: Session, node: Name) -> None:
    """Makes a node active again after `cordon`, `drain` or `remove`: it takes its share of the partitions."""
    await _set(session, node, _ACTIVE, "it takes its share of the partitions")


@app.command()
@connected(OPERATE_TIMEOUT)
async def drain(session: Session, node: Name, wait: Wait = False) -> None:
    """Moves all replicas off a node. No request fails, and the node keeps running."""
    what = "it holds no replica and can be stopped" if wait else "the controller moves its replicas to other nodes"
    await _set(session, node, _DRAINED, what, wait=wait)


@app.command()
@connected(OPERATE_TIMEOUT)
async def remove(session: Session, node: Name, apply: Apply = False) -> None:
    """Removes a node that is gone for good: the controller rebuilds its replicas elsewhere at once.

    Without --yes, shows the effects and changes nothing. For a node that still runs, `drain` is safer.
    """
    async with session.cluster() as cluster:
        effects = await removal.effects(cluster, node)
        if apply:
            await cluster.set_desired_state(node, _REMOVED)
    removal.show(session, effects, applied=apply)


@app.command()
@connected(OPERATE_TIMEOUT)
async def replace(
    session: Session,
    old: Annotated[str, typer.Argument(metavar="OLD", help="The node to replace.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="The preferred target for its replicas.")],
    apply: Apply = False,
    wait: Wait = False,
) -> None:
    """Moves the replicas of one node to another.

    Drains OLD if it is alive; `uncordon` undoes that. Removes OLD if it is gone, which needs --yes.
    """
    admin_requests.node(old)
    async with session.cluster() as cluster:
        if not (await cluster.node(new)).alive:
            raise CliError(f"{new} is not alive", "start it and try again")
        effects = await removal.effects(cluster, old)
        if not effects.node.alive and not apply:
            removal.show(session, effects, applied=False)
            return
        state = _DRAINED if effects.node.alive else _REMOVED
        await cluster.set_desired_state(old, state, new)
        if wait:
            await until_empty(cluster, old)
    _show(session, old, state, "it holds no replica any more" if wait else f"its replicas move to {new}")


app.command()(compact)


async def _set(
    session: Session, name: str, state: admin_pb2.DesiredState.ValueType, meaning: str, *, wait: bool = False
) -> None:
    """Sets the desired state of a known node, and says what it means. `wait`: until the node holds no replica."""
    async with session.cluster() as cluster:
        await cluster.node(name)
        await cluster.set_desired_state(name, state)
        if wait:
            await until_empty(cluster, name)
    _show(session, name, state, meaning)


def _show(session: Session, name: str, state: admin_pb2.DesiredState.ValueType, meaning: str) -> None:
    desired = node_view.desired_state(state)
    text = f"[bold]{as_markup(name)}[/] desired state: [green]{desired}[/]; {as_markup(meaning)}"
    session.show({"node": name, "desired_state": desired}, text)
