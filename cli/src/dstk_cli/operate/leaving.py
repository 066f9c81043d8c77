"""A node that is to be left by its replicas: waiting until it is, and what its removal would mean."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dstk.v1 import admin_pb2, topology_pb2
from dstk_cli import console
from dstk_cli.errors import CliError
from dstk_cli.operate.cluster import Cluster
from dstk_cli.operate.progress import Shown, shown
from dstk_cli.operate.replication import WISHES, held_by, only_on
from dstk_cli.untrusted import as_markup
from dstk_service.errors import DstkError

POLL_SECONDS = 0.5

_LEAVING = {admin_pb2.NODE_WISH_DRAINED, admin_pb2.NODE_WISH_REMOVED}


@dataclass(frozen=True, slots=True)
class Removal:
    """What it means that a node is gone for good."""

    node: admin_pb2.NodeStatus
    held: Sequence[topology_pb2.Partition]
    """Partitions with a replica there."""
    last: Sequence[topology_pb2.Partition]
    """Those that have no other replica in sync."""


def removal(node: admin_pb2.NodeStatus, entries: Iterable[topology_pb2.Partition]) -> Removal:
    """Worked out from the map. Pure."""
    held = held_by(entries, node.node.id)
    return Removal(node, held, only_on(held, node.node.id))


async def until_left(cluster: Cluster, name: str) -> None:
    """Returns when the map gives the node nothing any more. Raises CliError when it is no longer to be left."""
    await _warn_of_a_controller_that_does_nothing(cluster)
    with shown(f"{name}: waiting for its replicas to move") as progress:
        try:
            await _wait(cluster, name, progress)
        except asyncio.CancelledError:
            console.note(
                f"[yellow]no longer waiting[/]: {name} goes on being drained. Look again: dstk nodes drain {name} --wait"
                f"   leave it as it is: dstk nodes uncordon {name}"
            )
            raise


async def _wait(cluster: Cluster, name: str, progress: Shown) -> None:
    most, was_leaving = 0, False
    while True:
        nodes, entries = await asyncio.gather(cluster.nodes(), cluster.entries())
        if not (left := len(held_by(entries, name))):
            return
        wish = next((status.wish for status in nodes if status.node.id == name), admin_pb2.NODE_WISH_UNSPECIFIED)
        if was_leaving and wish and wish not in _LEAVING:
            why = f"{name} is no longer to be left: its wish is {WISHES[wish]!r} now"
            raise CliError(why, f"somebody changed it; begin anew: dstk nodes drain {name}")
        was_leaving = was_leaving or wish in _LEAVING  # the node hears of a new wish a little later than whoever set it
        most = max(most, left)
        progress(f"{name}: {left} of {most} replicas left", most - left, most)
        await asyncio.sleep(POLL_SECONDS)


async def _warn_of_a_controller_that_does_nothing(cluster: Cluster) -> None:
    try:
        answer = await cluster.controller()
    except DstkError as error:
        console.note(f"[yellow]the controller cannot be asked: {as_markup(error)}[/]")
        return
    if not answer.leader:
        console.note("[yellow]there is no controller at the moment: nothing moves until one is elected[/]")
    elif answer.settings.paused:
        console.note("[yellow]the controller is paused: nothing moves until `dstk controller resume`[/]")
