"""`dstk controller`: shows and configures the controller, and lists its plan and the cluster's events."""

import asyncio
from typing import Annotated, Any

import typer

from dstk.v1 import admin_pb2
from dstk_cli import console
from dstk_cli.connected import Connection, connected
from dstk_cli.operate import controller_view
from dstk_cli.operate import settings as texts
from dstk_cli.operate.cluster import OperatorClient, reach
from dstk_cli.operate.command_group import OPERATE_TIMEOUT
from dstk_cli.options import Output, OutputFormat
from dstk_cli.untrusted import as_markup
from dstk_service import admin_requests
from dstk_service.admin_requests import MAX_EVENTS

FOLLOW_SECONDS = 1.0

_EXAMPLES = """
[bold]Examples[/]

  dstk controller status                   which node it is, and its settings

  dstk controller plan                     what it does next, and why

  dstk controller pause                    let it plan but take no action

  dstk controller set replicas=3 gone_seconds=10m split_bytes=2GiB

  dstk controller events --follow          changes of the map as they happen
"""

app = typer.Typer(
    no_args_is_help=True,
    help="The controller: the storage node elected to manage the partitions. It rebuilds lost replicas, drains "
    "nodes, balances, splits and merges.",
    epilog=_EXAMPLES,
)


@app.command()
@connected()
async def status(
    connection: Connection,
    *,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Shows which node is the controller, whether it is paused, and its settings."""
    async with reach(connection.target()) as cluster:
        answer = await cluster.controller()
    steps, blocked = controller_view.counted(answer.plan)
    if output is OutputFormat.JSON:
        settings = texts.as_json(answer.settings)
        counts = {"steps": steps, "blocked": blocked}
        console.json_line({"leader": answer.leader or None, "settings": settings, **counts})
        return
    leader = f"[bold]{as_markup(answer.leader)}[/]" if answer.leader else "[bold red]none at the moment[/]"
    doing = "[yellow]paused[/]" if answer.settings.paused else "[green]running[/]" if answer.leader else "not running"
    problems = f", [yellow]{blocked} blocked[/]" if blocked else ""
    console.out().print(f"controller: {leader}, {doing}, {steps} step{'' if steps == 1 else 's'} planned{problems}")
    console.out().print()
    console.out().print(controller_view.settings(answer.settings))


@app.command()
@connected()
async def plan(
    connection: Connection,
    *,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Shows the next steps of the controller, in order, with their reasons. A paused controller plans, too."""
    async with reach(connection.target()) as cluster:
        answer = await cluster.controller()
    if output is OutputFormat.JSON:
        console.json_line({"paused": answer.settings.paused, "plan": list(map(controller_view.step_json, answer.plan))})
        return
    if answer.plan:
        console.out().print(controller_view.plan(answer.plan))
    else:
        console.out().print("[green]nothing to do[/]: all partitions are as they should be")
    if answer.settings.paused:
        console.note("[yellow]paused: the plan is not carried out before `dstk controller resume`[/]")


@app.command()
@connected(OPERATE_TIMEOUT)
async def pause(
    connection: Connection,
    *,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Pauses the controller: it plans but takes no action. Failover does not need it."""
    await _set(connection, output, paused=True)


@app.command()
@connected(OPERATE_TIMEOUT)
async def resume(
    connection: Connection,
    *,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Resumes a paused controller."""
    await _set(connection, output, paused=False)


@app.command("set")
@connected(OPERATE_TIMEOUT)
async def set_(
    connection: Connection,
    *,
    assignments: Annotated[
        list[str], typer.Argument(metavar="NAME=VALUE...", help="Settings as `dstk controller status` shows them.")
    ],
    output: Output = OutputFormat.TABLE,
) -> None:
    """Changes settings of the controller. Sizes can be given as 64MiB, durations as 10m."""
    await _set(connection, output, **texts.parse(assignments))


@app.command()
@connected()
async def events(
    connection: Connection,
    *,
    limit: Annotated[int, typer.Option("--limit", "-n", help=f"Maximum number of events: 1..{MAX_EVENTS}.")] = 50,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Print new events as they happen, until Ctrl-C.")
    ] = False,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Lists what the controller, operators and failovers changed, newest first.

    With --follow, prints one event a line, oldest first, and then new events as they happen; with JSON one object a line.
    """
    admin_requests.event_limit(limit)
    async with reach(connection.target()) as cluster:
        if follow:
            await _follow(cluster, limit, output)
            return
        found = await cluster.events(limit)
    if output is OutputFormat.JSON:
        console.json_line({"events": list(map(controller_view.event_json, found))})
        return
    console.out().print(controller_view.events(found))


async def _set(connection: Connection, output: OutputFormat, **settings: Any) -> None:
    async with reach(connection.target()) as cluster:
        now = await cluster.configure(**settings)
    if output is OutputFormat.JSON:
        console.json_line(texts.as_json(now))
        return
    console.out().print(controller_view.settings(now, settings))


async def _follow(cluster: OperatorClient, limit: int, output: OutputFormat) -> None:
    found = await cluster.events(MAX_EVENTS)
    fresh, seen = found[:limit], set(map(_identity, found))
    while True:
        for event in reversed(fresh):
            _print_event(event, output)
        await asyncio.sleep(FOLLOW_SECONDS)
        found = await cluster.events(MAX_EVENTS)
        # Clocks of nodes differ, so a new event need not be the first: compare their contents.
        fresh = [event for event in found if _identity(event) not in seen]
        seen.update(map(_identity, fresh))


def _identity(event: admin_pb2.Event) -> bytes:
    return event.SerializeToString(deterministic=True)


def _print_event(event: admin_pb2.Event, output: OutputFormat) -> None:
    if output is OutputFormat.JSON:
        console.json_line(controller_view.event_json(event))
    else:
        console.out().print(controller_view.event_line(event), soft_wrap=True)
