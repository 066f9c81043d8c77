"""`dstk controller`: shows and configures the controller, and lists its plan and the cluster's events."""

import asyncio
from typing import Annotated, Any, NoReturn

import typer

from dstk.v1 import admin_pb2
from dstk_cli.cluster import OperatorClient
from dstk_cli.help import examples
from dstk_cli.messages import as_json
from dstk_cli.operate import controller_view
from dstk_cli.operate import settings as texts
from dstk_cli.operate.command_group import OPERATE_TIMEOUT
from dstk_cli.session import Session, connected
from dstk_cli.untrusted import as_markup
from dstk_service import admin_requests
from dstk_service.admin_requests import MAX_EVENTS
from dstk_service.figures import counted

FOLLOW_SECONDS = 1.0

_EXAMPLES = examples("""
  dstk controller status                   which node it is, and its settings
  dstk controller plan                     what it does next, and why
  dstk controller pause                    let it plan but take no action
  dstk controller set replicas=3 gone_seconds=10m split_bytes=2GiB
  dstk controller events --follow          changes of the map as they happen
""")

app = typer.Typer(
    no_args_is_help=True,
    help="The controller: the storage node elected to manage the partitions. It rebuilds lost replicas, drains "
    "nodes, balances, splits and merges.",
    epilog=_EXAMPLES,
)


@app.command()
@connected()
async def status(session: Session) -> None:
    """Shows which node is the controller, whether it is paused, and its settings."""
    async with session.cluster() as cluster:
        answer = await cluster.controller()
    steps, blocked = controller_view.counted(answer.plan)
    leader = f"[bold]{as_markup(answer.leader)}[/]" if answer.leader else "[bold red]none at the moment[/]"
    doing = "[yellow]paused[/]" if answer.settings.paused else "[green]running[/]" if answer.leader else "not running"
    problems = f", [yellow]{blocked} blocked[/]" if blocked else ""
    summary = f"controller: {leader}, {doing}, {counted(steps, 'step')} planned{problems}"
    result = {"leader": answer.leader or None, "settings": as_json(answer.settings), "steps": steps, "blocked": blocked}
    session.show(result, summary, "", controller_view.settings(answer.settings))


@app.command()
@connected()
async def plan(session: Session) -> None:
    """Shows the next steps of the controller, in order, with their reasons. A paused controller plans, too."""
    async with session.cluster() as cluster:
        answer = await cluster.controller()
    nothing = "[green]nothing to do[/]: all partitions are as they should be"
    paused = "[yellow]paused: the plan is not carried out before `dstk controller resume`[/]"
    session.show(
        {"paused": answer.settings.paused, "plan": list(map(as_json, answer.plan))},
        controller_view.plan(answer.plan) if answer.plan else nothing,
        note=paused if answer.settings.paused else "",
    )


@app.command()
@connected(OPERATE_TIMEOUT)
async def pause(session: Session) -> None:
    """Pauses the controller: it plans but takes no action. Failover does not need it."""
    await _set(session, paused=True)


@app.command()
@connected(OPERATE_TIMEOUT)
async def resume(session: Session) -> None:
    """Resumes a paused controller."""
    await _set(session, paused=False)


@app.command("set")
@connected(OPERATE_TIMEOUT)
async def set_(
    session: Session,
    assignments: Annotated[
        list[str], typer.Argument(metavar="NAME=VALUE...", help="Settings as `dstk controller status` shows them.")
    ],
) -> None:
    """Changes settings of the controller. Sizes can be given as 64MiB, durations as 10m."""
    await _set(session, **texts.parse(assignments))


@app.command()
@connected()
async def events(
    session: Session,
    limit: Annotated[int, typer.Option("--limit", "-n", help=f"Maximum number of events: 1..{MAX_EVENTS}.")] = 50,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Print new events as they happen, until Ctrl-C.")
    ] = False,
) -> None:
    """Lists what the controller, operators and failovers changed, newest first.

    With --follow, prints one event a line, oldest first, and then new events as they happen; with JSON one object a line.
    """
    admin_requests.event_limit(limit)
    async with session.cluster() as cluster:
        if follow:
            await _follow(session, cluster, limit)
        found = await cluster.events(limit)
    session.show({"events": list(map(controller_view.event_json, found))}, controller_view.events(found))


async def _set(session: Session, **settings: Any) -> None:
    async with session.cluster() as cluster:
        now = await cluster.configure(**settings)
    session.show(as_json(now), controller_view.settings(now, settings))


async def _follow(session: Session, cluster: OperatorClient, limit: int) -> NoReturn:
    found = await cluster.events(MAX_EVENTS)
    fresh, seen = found[:limit], set(map(_identity, found))
    while True:
        for event in reversed(fresh):
            session.show(controller_view.event_json(event), controller_view.event_line(event))
        await asyncio.sleep(FOLLOW_SECONDS)
        found = await cluster.events(MAX_EVENTS)
        # Clocks of nodes differ, so a new event need not be the first: compare their contents.
        fresh = [event for event in found if _identity(event) not in seen]
        seen.update(map(_identity, fresh))


def _identity(event: admin_pb2.Event) -> bytes:
    return event.SerializeToString(deterministic=True)
