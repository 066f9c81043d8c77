"""`dstk controller`: what looks after the partitions by itself, and what it did."""

import asyncio
from collections.abc import Iterable
from typing import Annotated, Any

import typer
from rich.table import Table

from dstk.v1 import admin_pb2
from dstk_cli import console
from dstk_cli.command import guarded_async
from dstk_cli.data import values
from dstk_cli.operate import settings as texts
from dstk_cli.operate import view
from dstk_cli.operate.cluster import Cluster, reach
from dstk_cli.operate.group import OPERATE_TIMEOUT
from dstk_cli.operate.tables import table
from dstk_cli.options import DEFAULT_DATA_DIR, DEFAULT_TIMEOUT, DataDir, Output, OutputFormat, Router, Timeout
from dstk_cli.untrusted import as_markup
from dstk_service import admin_requests
from dstk_service.admin_requests import MAX_EVENTS
from dstk_service.controller_settings import BOUNDS

FOLLOW_SECONDS = 1.0

_EXAMPLES = """
[bold]Examples[/]

  dstk controller status                   who it is, and its settings

  dstk controller plan                     what it would do next, and why

  dstk controller pause                    it goes on saying what it would do, and does nothing

  dstk controller set replicas=3 gone_seconds=10m split_bytes=2GiB

  dstk controller events --follow          what is done to the map, as it happens
"""

app = typer.Typer(
    no_args_is_help=True,
    help="The controller: the storage node that was elected to look after the partitions. It makes replicas anew, drains "
    "nodes, balances, splits and merges.",
    epilog=_EXAMPLES,
)


@app.command()
@guarded_async
async def status(
    *,
    router: Router = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    seconds: Timeout = DEFAULT_TIMEOUT,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Shows who the controller is, whether it is paused, and its settings."""
    async with reach(router, data_dir, seconds) as cluster:
        answer = await cluster.controller()
    if output is OutputFormat.JSON:
        steps = len(answer.plan)
        console.json_line({"leader": answer.leader or None, "settings": texts.as_json(answer.settings), "steps": steps})
        return
    leader = f"[bold]{as_markup(answer.leader)}[/]" if answer.leader else "[bold red]nobody at the moment[/]"
    doing = "[yellow]paused[/]" if answer.settings.paused else "[green]at work[/]" if answer.leader else "not at work"
    count = len(answer.plan)
    console.out().print(f"controller: {leader}, {doing}, {count} step{'' if count == 1 else 's'} planned")
    console.out().print()
    console.out().print(_settings(answer.settings))


@app.command()
@guarded_async
async def plan(
    *,
    router: Router = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    seconds: Timeout = DEFAULT_TIMEOUT,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Shows what the controller would do next, in order, and why; whether it is paused or not."""
    async with reach(router, data_dir, seconds) as cluster:
        answer = await cluster.controller()
    if output is OutputFormat.JSON:
        console.json_line({"paused": answer.settings.paused, "plan": list(map(_step_json, answer.plan))})
        return
    if answer.plan:
        console.out().print(_plan(answer.plan))
    else:
        console.out().print("[green]nothing to do[/]: everything is where it should be")
    if answer.settings.paused:
        console.note("[yellow]paused: nothing of it is done until `dstk controller resume`[/]")


@app.command()
@guarded_async
async def pause(
    *,
    router: Router = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    seconds: Timeout = OPERATE_TIMEOUT,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Has the controller do nothing. It goes on saying what it would do; failover goes on without it."""
    await _set(router, data_dir, seconds, output, paused=True)


@app.command()
@guarded_async
async def resume(
    *,
    router: Router = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    seconds: Timeout = OPERATE_TIMEOUT,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Lets the controller do its work again."""
    await _set(router, data_dir, seconds, output, paused=False)


@app.command("set")
@guarded_async
async def set_(
    *,
    assignments: Annotated[
        list[str], typer.Argument(metavar="NAME=VALUE...", help="Settings, as `dstk controller status` shows them.")
    ],
    router: Router = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    seconds: Timeout = OPERATE_TIMEOUT,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Changes settings of the controller; those that are not named stay. Sizes as 64MiB, durations as 10m."""
    await _set(router, data_dir, seconds, output, **texts.parse(assignments))


@app.command()
@guarded_async
async def events(
    *,
    limit: Annotated[int, typer.Option("--limit", "-n", help=f"How many at most: 1..{MAX_EVENTS}.")] = 50,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what happens, until Ctrl-C.")] = False,
    router: Router = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    seconds: Timeout = DEFAULT_TIMEOUT,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Shows what the controller, failovers and operators did to the map, newest first.

    With --follow the oldest comes first, a line each, and new ones are added below. JSON is one object a line then.
    """
    admin_requests.event_limit(limit)
    async with reach(router, data_dir, seconds) as cluster:
        if follow:
            await _follow(cluster, limit, output)
            return
        found = await cluster.events(limit)
    if output is OutputFormat.JSON:
        console.json_line({"events": list(map(_event_json, found))})
        return
    console.out().print(_events(found))


async def _set(router: str | None, data_dir: Any, seconds: float, output: OutputFormat, **settings: Any) -> None:
    async with reach(router, data_dir, seconds) as cluster:
        now = await cluster.configure(**settings)
    if output is OutputFormat.JSON:
        console.json_line(texts.as_json(now))
        return
    console.out().print(_settings(now, settings))


async def _follow(cluster: Cluster, limit: int, output: OutputFormat) -> None:
    found = await cluster.events(MAX_EVENTS)
    fresh, seen = found[:limit], set(map(_identity, found))
    while True:
        for event in reversed(fresh):
            _print_event(event, output)
        await asyncio.sleep(FOLLOW_SECONDS)
        found = await cluster.events(MAX_EVENTS)
        # by what they are rather than by their place: clocks of nodes differ, so a new one need not be the first
        fresh = [event for event in found if _identity(event) not in seen]
        seen.update(map(_identity, fresh))


def _identity(event: admin_pb2.Event) -> bytes:
    return event.SerializeToString(deterministic=True)


def _print_event(event: admin_pb2.Event, output: OutputFormat) -> None:
    if output is OutputFormat.JSON:
        console.json_line(_event_json(event))
    else:
        when, *rest = _event_cells(event)
        console.out().print(f"[dim]{when}[/]  {'  '.join(part for part in rest if part != '-')}", soft_wrap=True)


def _settings(settings: admin_pb2.ControllerSettings, changed: Iterable[str] = ()) -> Table:
    made = table("setting", ">value", "")
    for name, bounds in BOUNDS.items():
        value = texts.shown(settings, name)
        made.add_row(name, f"[green]{value}[/]" if name in changed else value, f"[dim]{bounds.meaning}[/]")
    return made


def _plan(steps: Iterable[admin_pb2.PlannedStep]) -> Table:
    made = table(">", "step", ">partition", "node", "key", "why")
    for number, step in enumerate(steps, 1):
        key = view.key_or_none(step.at) or "-"
        made.add_row(
            str(number),
            as_markup(step.action),
            str(step.partition_id),
            *map(as_markup, (step.node or "-", key, step.reason)),
        )
    return made


def _step_json(step: admin_pb2.PlannedStep) -> dict[str, Any]:
    return {
        "action": step.action,
        "partition": step.partition_id,
        "node": step.node or None,
        "at": view.key_or_none(step.at),
        "reason": step.reason,
    }


def _events(found: Iterable[admin_pb2.Event]) -> Table:
    made = table("when", "by", "what", ">partition", "node", "why")
    for event in found:
        made.add_row(*_event_cells(event))
    return made


def _event_cells(event: admin_pb2.Event) -> list[str]:
    partition = str(event.partition_id) if event.partition_id else "-"
    texts_ = (event.node, event.action, partition, event.subject or "-", event.detail or "-")
    return [values.timestamp(event.at_ms), *map(as_markup, texts_)]


def _event_json(event: admin_pb2.Event) -> dict[str, Any]:
    return {
        "at": values.timestamp(event.at_ms),
        "at_ms": event.at_ms,
        "node": event.node,
        "action": event.action,
        "partition": event.partition_id or None,
        "subject": event.subject or None,
        "detail": event.detail,
    }
