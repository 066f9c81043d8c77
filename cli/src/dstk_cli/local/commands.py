"""`dstk local up | status | down`."""

import asyncio
import time
from dataclasses import replace
from typing import Annotated

import typer

from dstk_cli import console
from dstk_cli.command import guarded_async
from dstk_cli.errors import NOT_RUNNING, CliError
from dstk_cli.local import health, plan, runs, state, view
from dstk_cli.local.events import Events
from dstk_cli.local.layout import ClusterDir
from dstk_cli.local.plan import Request
from dstk_cli.local.state import ChildState, Phase, RunState
from dstk_cli.local.supervisor import is_supervised
from dstk_cli.options import DEFAULT_DATA_DIR, DataDir, Output, OutputFormat
from dstk_cli.untrusted import as_markup

app = typer.Typer(
    no_args_is_help=True, help="A cluster on this machine: etcd, storage nodes and a router as processes of your own."
)

_UP_EXAMPLES = """
[bold]Examples[/]

  dstk local up --detach             3 nodes, in the background

  dstk local up --nodes 5            in the foreground: Ctrl-C stops it

  dstk local up -d --data-dir /var/tmp/big --router-port 7000

  dstk local up --split-at g --split-at '("city","FR")'
"""


@app.command(epilog=_UP_EXAMPLES)
@guarded_async
async def up(
    *,
    nodes: Annotated[int | None, typer.Option(help="Storage nodes of a new cluster, 3 unless given.")] = None,
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Run in the background; return when all serve.")
    ] = False,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    router_port: Annotated[int | None, typer.Option(help="Port of the router; a free one unless given.")] = None,
    split_at: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY",
            help="A border between partitions of a new cluster; repeat it for more. "
            "Unless given: one partition a node, borders spread over the letters a-z.",
        ),
    ] = None,
) -> None:
    """Starts a cluster, or starts again the one that the data directory holds, data included.

    Processes that die are started again. Ports are kept from `up` to `up` where they are still free.
    """
    directory, request = ClusterDir.at(data_dir), Request(nodes, router_port, tuple(split_at or ()))
    if is_supervised(directory):
        _already_up(directory, request)
        return
    if detach:
        with view.progress("starting") as progress:
            running = await runs.run_detached(directory, request, progress)
        _show(directory, running)
        return
    await runs.run_here(directory, request, _Foreground(directory))


@app.command()
@guarded_async
async def status(data_dir: DataDir = DEFAULT_DATA_DIR, output: Output = OutputFormat.TABLE) -> None:
    """Shows the processes of a cluster, each asked whether it serves.

    Exit code 0: all serve; 1: something does not; 3: the cluster is not up.
    """
    directory = ClusterDir.at(data_dir)
    supervised = is_supervised(directory)
    running = state.load(directory.state)
    if running is None:
        raise _no_state(directory, supervised=supervised)
    running = await _asked(view.observed(running, supervised=supervised))
    if output is OutputFormat.JSON:
        console.json_line({**view.as_json(directory, running), "supervised": supervised})
    else:
        _show_status(directory, running, supervised)
    if not supervised or any(child.phase is not Phase.SERVING for child in running.children):
        raise typer.Exit(1)


@app.command()
@guarded_async
async def down(data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Stops a cluster in order and keeps its data: `dstk local up` goes on where it was."""
    directory = ClusterDir.at(data_dir)
    if state.load(directory.state) is None and not is_supervised(directory):
        console.note(f"no cluster is up in {as_markup(directory.root)}: nothing to stop")
        return
    with view.progress("stopping") as progress:
        orphans = await runs.stop(directory, progress)
    if orphans:
        console.note(f"[yellow]the supervisor was gone already; ended what it left: {as_markup(', '.join(orphans))}[/]")
    console.note(f"[green]stopped[/]; the data stays in {as_markup(directory.root)}")


def _no_state(directory: ClusterDir, *, supervised: bool) -> CliError:
    if supervised:
        return CliError(f"the cluster in {directory.root} is just starting or stopping", "try again in a moment")
    hint = f"start one: dstk local up --detach{directory.flag}"
    return CliError(f"no cluster is up in {directory.root}", hint, NOT_RUNNING)


def _already_up(directory: ClusterDir, request: Request) -> None:
    running, remembered = state.load(directory.state), plan.load(directory.plan)
    if running is None or remembered is None or running.phase in {Phase.STARTING, Phase.STOPPING}:
        doing = running.phase if running else "starting or stopping"
        raise CliError(f"the cluster in {directory.root} is just {doing}", "try again in a moment")
    if different := plan.differs(request, remembered):
        hint = "use `dstk split KEY`" if request.splits else f"stop it first: dstk local down{directory.flag}"
        raise CliError(f"the cluster is up already, but {different}", hint)
    console.note("[green]up already[/]")
    _show(directory, view.observed(running, supervised=True))


def _show(directory: ClusterDir, running: RunState) -> None:
    out = console.out()
    out.print(view.processes(running, out.width))
    out.print()
    out.print(view.how_to_use(directory, running), soft_wrap=True)
    _warn(running)


def _warn(running: RunState) -> None:
    for line in view.troubles(running, time.time()):
        console.note(f"[bold yellow]warning:[/] {as_markup(line)}")


def _show_status(directory: ClusterDir, running: RunState, supervised: bool) -> None:
    out = console.out()
    out.print(view.processes(running, out.width))
    if supervised:
        line = f"\ncluster {running.phase}, router {running.router}, data in {as_markup(directory.root)}"
        out.print(line, soft_wrap=True)
    _warn(running)
    if not supervised:
        console.note(
            "[bold red]the supervisor is gone[/]: nothing restarts what dies. `dstk local up` cleans up and starts anew"
        )


async def _asked(running: RunState) -> RunState:
    return running.with_children(tuple(await asyncio.gather(*map(_ask, running.children))))


async def _ask(child: ChildState) -> ChildState:
    if child.phase is not Phase.SERVING or await health.is_serving(child.address):
        return child
    return replace(child, phase=Phase.SILENT, reason="it runs, and does not say that it serves", since=time.time())


class _Foreground:
    """Shows the table once everything serves, and afterwards one line for whatever happens."""

    def __init__(self, directory: ClusterDir) -> None:
        self._directory = directory
        self._events = Events()
        self._shown = False

    def __call__(self, running: RunState) -> None:
        for line in self._events.between(running):
            console.note(f"[dim]{as_markup(line)}[/]")
        if running.phase in {Phase.SERVING, Phase.DEGRADED} and not self._shown:
            self._shown = True
            _show(self._directory, running)
            console.note("\n[dim]Ctrl-C stops everything in order[/]")
