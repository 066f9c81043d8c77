"""`dstk-bench`: runs the benchmark, compares it with a baseline, writes its figures into the documentation."""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from rich.console import Console

from dstk_cli import console
from dstk_cli.command import guarded
from dstk_cli.options import number

if TYPE_CHECKING:
    from dstk_bench.model import Report, Settings

T = TypeVar("T")

app = typer.Typer(pretty_exceptions_enable=False, context_settings={"help_option_names": ["-h", "--help"]})

_FULL_ROUNDS, _QUICK_ROUNDS = 5, 3
_QUICK_SECONDS = 0.9
_RECORDS, _QUICK_RECORDS = 50_000, 10_000
_VALUE_BYTES = 128
_WIDTH = 140
_MAX_SECONDS = 3600

Seconds = Annotated[
    float,
    typer.Option(
        "--seconds",
        min=0.1,
        max=_MAX_SECONDS,
        callback=number,
        help="Seconds of load for each case and system, over all rounds.",
    ),
]
Quick = Annotated[bool, typer.Option("--quick", help="Take one minute instead of five; the figures are noisier.")]
Only = Annotated[
    list[str] | None,
    typer.Option("--only", help='Cases, or case/system pairs, to run: "get-*", "scan/redis". Repeat for several.'),
]
Output = Annotated[Path | None, typer.Option("--output", help="Write the report as JSON to this file.")]
Baseline = Annotated[Path | None, typer.Option("--baseline", help="Compare the ratios with this earlier report.")]
Check = Annotated[bool, typer.Option("--check", help="With --baseline: exit 1 if a ratio is worse beyond the noise.")]
Directory = Annotated[
    Path | None,
    typer.Option(
        "--directory",
        exists=True,
        file_okay=False,
        writable=True,
        help="Directory for the data of the run; use a real disk. Default: the system's temporary directory.",
    ),
]


@app.callback(invoke_without_command=True)
@guarded
def bench(
    *,
    context: typer.Context,
    seconds: Seconds = 4.0,
    quick: Quick = False,
    only: Only = None,
    output: Output = None,
    baseline: Baseline = None,
    check: Check = False,
    directory: Directory = None,
) -> None:
    """Measure DSTK beside etcd, Redis, LevelDB and bare gRPC in one run on this machine. Every write is synced."""
    if context.invoked_subcommand is not None:
        return
    from dstk_bench.model import write_report  # noqa: PLC0415 - `--help` loads neither gRPC nor pydantic

    if check and baseline is None:
        raise typer.BadParameter("there is no report to check against; add --baseline REPORT", param_hint="--check")
    _refuse_unknown(only or ())
    _refuse_unwritable(output)
    before = _read(baseline, "--baseline") if baseline else None
    report = _run(only or (), _settings(seconds, quick=quick), directory)
    if output:
        write_report(report, output)
    _show(report, before)
    if check and before and _is_worse(report, before):
        raise typer.Exit(1)


def _refuse_unknown(patterns: Sequence[str]) -> None:
    from dstk_bench.cases import all_cases, chosen  # noqa: PLC0415
    from dstk_bench.systems.catalogue import PROVIDERS  # noqa: PLC0415

    pairs = [(case.name, name) for case in all_cases() for provider in PROVIDERS for name in provider.names]
    for pattern in patterns:
        if not any(chosen(*pair, [pattern]) for pair in pairs):
            cases = ", ".join(case.name for case in all_cases())
            raise typer.BadParameter(
                f"{pattern!r} matches no case and system; the cases are {cases}", param_hint="--only"
            )


def _refuse_unwritable(output: Path | None) -> None:
    """Raises before the run, rather than after five minutes, if the report's directory does not exist."""
    if output and not output.absolute().parent.is_dir():
        raise typer.BadParameter(f"{str(output)!r}: its directory does not exist", param_hint="--output")


def _settings(seconds: float, *, quick: bool) -> "Settings":
    from dstk_bench.model import Settings  # noqa: PLC0415

    rounds = _QUICK_ROUNDS if quick else _FULL_ROUNDS
    total = min(seconds, _QUICK_SECONDS) if quick else seconds
    return Settings(_QUICK_RECORDS if quick else _RECORDS, _VALUE_BYTES, rounds, total / rounds)


def _run(only: Sequence[str], settings: "Settings", directory: Path | None) -> "Report":
    from dstk_bench.runner import RunPlan, run  # noqa: PLC0415
    from dstk_bench.systems.catalogue import PROVIDERS  # noqa: PLC0415

    return _until_terminated(lambda show: run(RunPlan(PROVIDERS, only, settings, directory), show))


def _until_terminated(measure: Callable[[Callable[[str], None]], Awaitable[T]]) -> T:
    """Returns what `measure` does; it shows its steps. SIGTERM cancels it, and ends the command."""
    import uvloop  # noqa: PLC0415

    async def until_done_or_terminated(show: Callable[[str], None]) -> T:
        task = asyncio.current_task()
        if task is not None:
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await measure(show)

    with (
        Console(stderr=True).status("starting") as status,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        try:
            return runner.run(until_done_or_terminated(status.update))
        except asyncio.CancelledError:
            raise typer.Exit(128 + signal.SIGTERM) from None


def _show(report: "Report", before: "Report | None") -> None:
    from dstk_bench.render import print_tables, tables  # noqa: PLC0415

    output = Console()
    print_tables(output if output.is_terminal else Console(width=_WIDTH), tables(report, before))


def _is_worse(report: "Report", before: "Report") -> bool:
    from dstk_bench.goals import Change, compare  # noqa: PLC0415

    return any(each.change is Change.WORSE for each in compare(report, before))


def _read(path: Path, parameter: str) -> "Report":
    from dstk_bench.model import UnusableReportError, read_report  # noqa: PLC0415

    try:
        return read_report(path)
    except (UnusableReportError, OSError) as error:
        raise typer.BadParameter(str(error), param_hint=parameter) from error


@app.command()
@guarded
def document(
    *,
    report: Annotated[Path, typer.Argument(help="A report that `dstk-bench --output` wrote.")],
    page: Annotated[Path, typer.Argument(help="A Markdown page with the two marker lines.")],
    check: Annotated[bool, typer.Option("--check", help="Change nothing; exit 1 if the page is out of date.")] = False,
) -> None:
    """Write the tables of a report between the markers of a Markdown page."""
    from dstk_bench.document import with_figures  # noqa: PLC0415

    try:
        old = page.read_text(encoding="utf-8")
        new = with_figures(old, _read(report, "report"))
    except ValueError as error:  # missing markers, or a page that is not UTF-8
        raise typer.BadParameter(f"{str(page)!r}: {error}", param_hint="page") from error
    if check and new != old:
        typer.echo(f"{page} does not show the figures of {report}: run `dstk-bench document {report} {page}`", err=True)
        raise typer.Exit(1)
    if new != old:
        page.write_text(new, encoding="utf-8")


@app.command("metrics-cost")
@guarded
def metrics_cost(
    *,
    rounds: Annotated[int, typer.Option("--rounds", min=1, max=1000, help="Rounds, each with and without it.")] = 8,
    seconds: Annotated[
        float,
        typer.Option("--seconds", min=0.1, max=_MAX_SECONDS, callback=number, help="Seconds for each case in a round."),
    ] = 3.0,
    watched: Annotated[
        bool, typer.Option("--watched", help="The node sends its figures each second, as while a console is open.")
    ] = False,
    directory: Directory = None,
) -> None:
    """Measure what the metrics service costs a storage node: the same node with and without it, in turns."""
    from dstk_bench.metrics_cost import CostPlan, measure  # noqa: PLC0415 - as above
    from dstk_bench.render import metrics_cost_table, print_tables  # noqa: PLC0415

    plan = CostPlan(rounds, seconds, watched, directory)
    costs = _until_terminated(lambda show: measure(plan, show))
    print_tables(Console(), [metrics_cost_table(costs)])


def main() -> None:
    """The program `dstk-bench`."""
    console.accept_any_text()
    try:
        guarded(app)(prog_name="dstk-bench")
    except typer.Exit as end:
        sys.exit(end.exit_code)
