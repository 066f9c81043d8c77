"""Measures what faults and changes cost: `python -m faults.measure`, or one of them with `--only failover`."""

import asyncio
import logging
import signal
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
import uvloop
from model.linearizability import CannotTell
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from dstk_bench.machine import describe
from dstk_bench.model import Machine
from dstk_service.errors import DstkError
from faults.measuring import render
from faults.measuring.catalogue import ALL
from faults.measuring.model import Measured, Measurement, Report, Settings, Verdict

DEFAULTS = Settings()
WIDTH = 120

NO_END = (AssertionError, CannotTell, DstkError)
"""Errors that end a measurement: a condition that does not come true, or a refused change."""

EXAMPLES = """
[bold]Examples[/]

  python -m faults.measure                                everything, some fifteen minutes on a quiet machine

  python -m faults.measure --only failover --kills 5      one of them, and less of it

  python -m faults.measure --output faults.json           figures, date and machine, to compare with later

[bold]What is measured[/]

""" + "\n\n".join(f"  [cyan]{each.name:<10}[/] {each.meaning}" for each in ALL.values())

app = typer.Typer(add_completion=False, rich_markup_mode="rich")


@app.command(epilog=EXAMPLES)
def main(
    *,
    only: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Measure this alone; repeat for several. Names: see below.")
    ] = None,
    kills: Annotated[int, typer.Option(min=1, help="failover: how many times a node is killed.")] = DEFAULTS.kills,
    etcd_seconds: Annotated[float, typer.Option(min=1, help="etcd: how long it stays away.")] = DEFAULTS.etcd_seconds,
    switches: Annotated[int, typer.Option(min=1, help="changes: how many switches.")] = DEFAULTS.switches,
    gigabytes: Annotated[
        float, typer.Option(min=0.01, help="copying: how much the partition holds, twice that on disk and more.")
    ] = DEFAULTS.gigabytes,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write date, machine and figures as JSON.")
    ] = None,
    directory: Annotated[
        Path | None, typer.Option(help="Directory for the data, on a real disk. Default: the temporary directory.")
    ] = None,
) -> None:
    """Measure failover, restarts, planned changes and re-replication on clusters of real processes under constant load.

    Each measurement starts its own cluster and leaves nothing behind, not even when it is stopped by Ctrl-C. Figures are
    [green]met[/] or [yellow]missed[/], which depends on the machine; a promise is met or [bold red]broken[/]: no acknowledged
    write is lost, and no request fails needlessly. [magenta]invalid[/]: the load was too small to prove anything.
    Exits with 1 only when a promise is broken.
    """
    settings = Settings(kills, etcd_seconds, switches, gigabytes, directory)
    started = datetime.now(UTC).isoformat(timespec="seconds")
    found = _run([_named(name) for name in only] if only else list(ALL.values()), settings)
    if output:
        render.write(Report(started, _machine(directory), settings, found), output)
    if any(measured.verdict is Verdict.BROKEN for measured in found):
        raise typer.Exit(1)


def _named(name: str) -> Measurement:
    if name not in ALL:
        raise typer.BadParameter(f"{name!r} is none of {', '.join(ALL)}", param_hint="--only")
    return ALL[name]


def _machine(directory: Path | None) -> Machine:
    with tempfile.TemporaryDirectory(prefix="dstk-measure-", dir=directory) as own:
        return describe(Path(own))


def _run(wanted: Sequence[Measurement], settings: Settings) -> list[Measured]:
    logging.getLogger("dstk_client").setLevel(logging.CRITICAL)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            return runner.run(_all(wanted, settings))
        except asyncio.CancelledError:
            raise typer.Exit(128 + signal.SIGTERM) from None
        except KeyboardInterrupt:
            raise typer.Exit(128 + signal.SIGINT) from None


async def _all(wanted: Sequence[Measurement], settings: Settings) -> list[Measured]:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    out = Console()
    console = out if out.is_terminal else Console(width=WIDTH)
    found: list[Measured] = []
    for measurement in wanted:
        measured = await _one(measurement, settings, console)
        console.print(render.rows(measured, heading=not found))
        for note in measured.notes:
            console.print(f"             {note}", style="dim", markup=False, highlight=False)
        found.append(measured)
    return found


async def _one(measurement: Measurement, settings: Settings, console: Console) -> Measured:
    columns = (
        TextColumn("{task.fields[name]:<12}"),
        BarColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task("starting a cluster", name=measurement.name, total=1.0)
        try:
            return await measurement.run(
                settings, lambda done, text: progress.update(bar, completed=done, description=text)
            )
        except (*NO_END, ExceptionGroup) as problem:
            return Measured(measurement.name, invalid=f"did not finish: {_reason(problem)}")


def _reason(problem: Exception) -> Exception:
    """The first one of a group. Raises anything that is a mistake in the measurement itself."""
    if isinstance(problem, ExceptionGroup):
        return _reason(problem.exceptions[0])
    if not isinstance(problem, NO_END):
        raise problem
    return problem


if __name__ == "__main__":
    app()
