"""Waits until a drained node is empty."""

import asyncio

from dstk.v1 import admin_pb2
from dstk_cli import console
from dstk_cli.cluster import OperatorClient
from dstk_cli.errors import CliError
from dstk_cli.operate.node_view import desired_state
from dstk_cli.progress import Shown, shown
from dstk_cli.untrusted import as_markup
from dstk_doctor.replication import held_by
from dstk_service.errors import DstkError

POLL_SECONDS = 0.5

_UNKNOWN = admin_pb2.DESIRED_STATE_UNSPECIFIED
_LEAVING = {admin_pb2.DESIRED_STATE_DRAINED, admin_pb2.DESIRED_STATE_REMOVED}


async def until_empty(cluster: OperatorClient, name: str) -> None:
    """Returns when the map places no replica on the node. Raises CliError if the desired state changes meanwhile."""
    await _warn_if_the_controller_is_idle(cluster)
    with shown(f"{name}: waiting for its replicas to move") as progress:
        try:
            await _wait(cluster, name, progress)
        except asyncio.CancelledError:
            console.note(
                f"[yellow]no longer waiting[/]: the drain of {name} continues. To wait again: dstk nodes drain {name} --wait"
                f"   To stop the drain: dstk nodes uncordon {name}"
            )
            raise


async def _wait(cluster: OperatorClient, name: str, progress: Shown) -> None:
    most, was_leaving = 0, False
    while True:
        nodes, entries = await asyncio.gather(cluster.nodes(), cluster.entries())
        if not (left := len(held_by(entries, name))):
            return
        state = next((status.desired_state for status in nodes if status.node.id == name), _UNKNOWN)
        if was_leaving and state and state not in _LEAVING:
            why = f"{name} is no longer being drained: its desired state is {desired_state(state)!r} now"
            raise CliError(why, f"someone changed it; to drain it again: dstk nodes drain {name}")
        # The node learns its new desired state up to a second after this command has set it.
        was_leaving = was_leaving or state in _LEAVING
        most = max(most, left)
        progress(f"{name}: {left} of {most} replicas left", most - left, most)
        await asyncio.sleep(POLL_SECONDS)


async def _warn_if_the_controller_is_idle(cluster: OperatorClient) -> None:
    try:
        answer = await cluster.controller()
    except DstkError as error:
        console.note(f"[yellow]the controller does not answer: {as_markup(error)}[/]")
        return
    if not answer.leader:
        console.note("[yellow]there is no controller now: replicas move once one is elected[/]")
    elif answer.settings.paused:
        console.note("[yellow]the controller is paused: replicas move after `dstk controller resume`[/]")
