"""`dstk local up | status | logs | down`."""

import time
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from dstk_cli import console
from dstk_cli.command import guarded, guarded_async
from dstk_cli.directories import data_dir_option
from dstk_cli.errors import NOT_RUNNING, CliError
from dstk_cli.help import examples
from dstk_cli.local import log_lines, view
from dstk_cli.options import DEFAULT_DATA_DIR, DataDir, Output, OutputFormat, partition_id
from dstk_cli.untrusted import as_markup
from dstk_localcluster import (
    ClusterDir,
    ClusterSpec,
    ClusterState,
    Phase,
    detached,
    foreground,
    health,
    plan,
    state_file,
)
from dstk_localcluster.changes import ChangeDescriber
from dstk_localcluster.observability import tools
from dstk_localcluster.ownership import is_supervised

MOST_LINES = 100_000
"""They are kept in memory until they are sorted."""

app = typer.Typer(
    no_args_is_help=True,
    help="A cluster on this machine: etcd, storage nodes, a router and the metrics service as processes of your own.",
)

_UP_EXAMPLES = examples("""
  dstk local up --detach             3 nodes, in the background
  dstk local up --nodes 5            in the foreground: Ctrl-C stops it
  dstk local up -d --data-dir /var/tmp/big --router-port 7000
  dstk local up --split-at g --split-at '("city","FR")'
  dstk local up -d --observability   with Prometheus, Alertmanager and Jaeger
""")


_LOGS_EXAMPLES = examples("""
  dstk local logs --level warning            what went wrong, of all processes
  dstk local logs --events --partition 7     what was done to a partition, and by whom
  dstk local logs storage-1 etcd -n 1000
""")


class Level(StrEnum):
    """Levels of lines."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@app.command(epilog=_UP_EXAMPLES)
@guarded_async
async def up(
    *,
    nodes: Annotated[
        int | None, typer.Option(help="Storage nodes, 1 to 32. Default: 3, or as many as the cluster has.")
    ] = None,
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Run in the background; return when all serve.")
    ] = False,
    observability: Annotated[
        bool,
        typer.Option(
            "--observability", help="Also run Prometheus, Alertmanager and Jaeger 2: those of them that are on PATH."
        ),
    ] = False,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    router_port: Annotated[int | None, typer.Option(help="Port of the router. Default: a free one.")] = None,
    console_port: Annotated[
        int | None, typer.Option(help="Port of the console, a web page about the cluster. Default: a free one.")
    ] = None,
    split_at: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY",
            help="A border between partitions of a new cluster; repeat it for more. "
            "Default: one partition a node, borders spread over the letters a-z.",
        ),
    ] = None,
) -> None:
    """Starts a new cluster, or the one in the data directory with its data.

    Restarts processes that die. Keeps the ports from `up` to `up` where they are still free.
    """
    directory = ClusterDir.at(data_dir)
    splits = tuple(split_at or ())
    spec = ClusterSpec(nodes, router_port, splits, console_port=console_port, observability=observability)
    if is_supervised(directory):
        _already_up(directory, spec)
        return
    if observability:
        _require_tools()
    if detach:
        with view.progress("starting") as progress:
            running = await detached.run_detached(directory, spec, progress)
        _show(directory, running)
    else:
        await foreground.run_until_signal(directory, spec, _Foreground(directory))


@app.command()
@guarded_async
async def status(data_dir: DataDir = DEFAULT_DATA_DIR, output: Output = OutputFormat.TABLE) -> None:
    """Shows the processes of a cluster and checks that each serves.

    Exit code 0: all serve; 1: at least one does not; 3: the cluster is not up. Prometheus, Alertmanager and Jaeger do not
    count.
    """
    directory = ClusterDir.at(data_dir)
    supervised = is_supervised(directory)
    running = state_file.load(directory.state)
    if running is None:
        raise _no_state(directory, supervised=supervised)
    running = await health.checked(running.observed(supervised=supervised))
    if output is OutputFormat.JSON:
        console.json_line({**view.as_json(directory, running), "supervised": supervised})
    else:
        _show_status(directory, running, supervised)
    if not supervised or any(part.phase is not Phase.SERVING for part in running.parts):
        raise typer.Exit(1)


@app.command(epilog=_LOGS_EXAMPLES)
@guarded
def logs(
    processes: Annotated[
        list[str] | None, typer.Argument(metavar="[PROCESS]...", help="Such as storage-1 or etcd. Default: all.")
    ] = None,
    *,
    level: Annotated[
        Level, typer.Option("--level", "-l", help="The lowest level that is shown.", case_sensitive=False)
    ] = Level.INFO,
    events: Annotated[bool, typer.Option("--events", "-e", help="Only what the control plane did.")] = False,
    partition: Annotated[
        int | None, typer.Option("--partition", "-p", parser=partition_id, help="Only about this partition.")
    ] = None,
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, max=MOST_LINES, help="How many, the newest.")] = 100,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Shows the logs of all processes, merged by time. With `--output json`: the lines as they were written."""
    directory = ClusterDir.at(data_dir)
    choice = log_lines.Choice(level.value, partition, events)
    found = log_lines.newest(_logs(directory, processes or ()), choice, lines)
    width = log_lines.width_of(found)
    for line in found:
        if output is OutputFormat.JSON:
            typer.echo(line.text)
        else:
            console.out().print(as_markup(log_lines.written(line, width)), soft_wrap=True)


def _logs(directory: ClusterDir, processes: Sequence[str]) -> dict[str, Path]:
    found = {log.stem: log for log in sorted(directory.log("*").parent.glob("*.log")) if log.stem != "supervisor"}
    if not found:
        start = f"start a cluster: dstk local up{data_dir_option(directory.root)}"
        raise CliError(f"there are no logs in {directory.root}", start)
    if unknown := [name for name in processes if name not in found]:
        raise CliError(f"there is no process {unknown[0]!r}", f"one of {', '.join(found)}")
    return {name: log for name, log in found.items() if not processes or name in processes}


@app.command()
@guarded_async
async def down(data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Stops a cluster in order and keeps its data: `dstk local up` starts it again."""
    directory = ClusterDir.at(data_dir)
    if state_file.load(directory.state) is None and not is_supervised(directory):
        console.note(f"no cluster is up in {as_markup(directory.root)}: nothing to stop")
        return
    with view.progress("stopping") as progress:
        orphans = await detached.stop(directory, progress)
    if orphans:
        console.note(
            f"[yellow]the supervisor was gone; ended the processes that it left: {as_markup(', '.join(orphans))}[/]"
        )
    console.note(f"[green]stopped[/]; the data stays in {as_markup(directory.root)}")


def _require_tools() -> None:
    """Warns of programs that are not on PATH. Raises `LocalClusterError` when none is."""
    tools.required()
    if missing := tools.missing():
        console.note(f"[bold yellow]warning:[/] {as_markup(missing)}")


def _no_state(directory: ClusterDir, *, supervised: bool) -> CliError:
    if supervised:
        return CliError(f"the cluster in {directory.root} is just starting or stopping", "try again in a moment")
    hint = f"start one: dstk local up --detach{data_dir_option(directory.root)}"
    return CliError(f"no cluster is up in {directory.root}", hint, NOT_RUNNING)


def _already_up(directory: ClusterDir, spec: ClusterSpec) -> None:
    running, remembered = state_file.load(directory.state), plan.load(directory.plan)
    if running is None or remembered is None or running.phase in {Phase.STARTING, Phase.STOPPING}:
        doing = running.phase if running else "starting or stopping"
        raise CliError(f"the cluster in {directory.root} is just {doing}", "try again in a moment")
    if different := plan.difference(spec, remembered, is_watched=bool(running.watchers)):
        stop = f"stop it first: dstk local down{data_dir_option(directory.root)}"
        hint = "use `dstk split KEY`" if spec.splits else stop
        raise CliError(f"the cluster is up already, but {different}", hint)
    console.note("[green]up already[/]")
    _show(directory, running.observed(supervised=True))


def _show(directory: ClusterDir, running: ClusterState) -> None:
    out = console.out()
    out.print(view.processes(running, out.width))
    out.print()
    out.print(view.how_to_use(directory, running), soft_wrap=True)
    _warn(running)


def _warn(running: ClusterState) -> None:
    for line in view.troubles(running, time.time()):
        console.note(f"[bold yellow]warning:[/] {as_markup(line)}")


def _show_status(directory: ClusterDir, running: ClusterState, supervised: bool) -> None:
    out = console.out()
    out.print(view.processes(running, out.width))
    if supervised:
        line = f"\ncluster {running.phase}, router {running.router}, data in {as_markup(directory.root)}"
        out.print(line, soft_wrap=True)
        for name, page in view.pages(running):
            out.print(f"{name} {page}", soft_wrap=True)
    _warn(running)
    if not supervised:
        console.note(
            "[bold red]the supervisor is gone[/]: no process that dies restarts. `dstk local up` starts the cluster again"
        )


class _Foreground:
    """Shows the table once the cluster serves, and a line for each change."""

    def __init__(self, directory: ClusterDir) -> None:
        self._directory = directory
        self._changes = ChangeDescriber()
        self._shown = False

    def __call__(self, running: ClusterState) -> None:
        for line in self._changes.since_last(running):
            console.note(f"[dim]{as_markup(line)}[/]")
        if running.phase in {Phase.SERVING, Phase.DEGRADED} and not self._shown:
            self._shown = True
            _show(self._directory, running)
            console.note("\n[dim]Ctrl-C stops everything in order[/]")
