"""`dstk bench`: run the benchmark, compare it with a baseline, put its figures into the documentation."""

import asyncio
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from dstk_cli.command import guarded
from dstk_cli.options import number

if TYPE_CHECKING:
    from dstk_cli.bench.model import Report, Settings

bench_app = typer.Typer(
    help="Measure DSTK beside etcd, Redis, LevelDB and bare gRPC on this machine.", no_args_is_help=False
)

_FULL_ROUNDS, _QUICK_ROUNDS = 5, 3
_QUICK_SECONDS = 0.9
_RECORDS, _QUICK_RECORDS = 50_000, 10_000
_VALUE_BYTES = 128
_WIDTH = 140


@bench_app.callback(invoke_without_command=True)
@guarded
def bench(
    *,
    context: typer.Context,
    seconds: Annotated[
        float,
        typer.Option(
            min=0.1,
            max=3600,
            callback=number,
            help="Seconds of load for each case and system, all rounds together.",
        ),
    ] = 4.0,
    quick: Annotated[bool, typer.Option("--quick", help="A minute rather than five; noisier.")] = False,
    only: Annotated[
        list[str] | None,
        typer.Option(help='Case or case/system patterns to run, such as "get-*", "scan/redis"; repeat for several.'),
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Write the report as JSON to this file.")] = None,
    baseline: Annotated[Path | None, typer.Option(help="Compare the goals' ratios with this earlier report.")] = None,
    check: Annotated[
        bool, typer.Option("--check", help="With --baseline: exit 1 when a ratio got worse than noise.")
    ] = False,
    directory: Annotated[
        Path | None,
        typer.Option(help="Where data goes while it runs: a real disk. Default: the system's temporary directory."),
    ] = None,
) -> None:
    """Run the benchmark: every system in one run, side by side, each write synced; prints tables, JSON to --output."""
    if context.invoked_subcommand is not None:
        return
    from dstk_cli.bench.goals import Change, compare  # noqa: PLC0415 - `dstk --help` must not load gRPC and pydantic
    from dstk_cli.bench.model import Settings, write_report  # noqa: PLC0415
    from dstk_cli.bench.render import print_tables, tables  # noqa: PLC0415

    if check and baseline is None:
        raise typer.BadParameter("there is nothing to check against: add --baseline REPORT", param_hint="--check")
    if output and not output.absolute().parent.is_dir():  # better now than after five minutes
        raise typer.BadParameter(f"{str(output)!r}: there is no such directory", param_hint="--output")
    before = _read(baseline) if baseline else None
    rounds = _QUICK_ROUNDS if quick else _FULL_ROUNDS
    total = min(seconds, _QUICK_SECONDS) if quick else seconds
    settings = Settings(_QUICK_RECORDS if quick else _RECORDS, _VALUE_BYTES, rounds, total / rounds)
    report = _run(only or (), settings, directory)
    if output:
        write_report(report, output)
    console = Console()
    print_tables(console if console.is_terminal else Console(width=_WIDTH), tables(report, before))
    if check and before and any(each.change is Change.WORSE for each in compare(report, before)):
        raise typer.Exit(1)


def _run(only: Sequence[str], settings: "Settings", directory: Path | None) -> "Report":
    import uvloop  # noqa: PLC0415

    from dstk_cli.bench.runner import Plan, run  # noqa: PLC0415
    from dstk_cli.bench.systems.catalogue import PROVIDERS  # noqa: PLC0415

    async def until_done_or_told(tell: Callable[[str], None]) -> "Report":
        task = asyncio.current_task()
        if task is not None:
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await run(Plan(PROVIDERS, only, settings, directory), tell)

    with (
        Console(stderr=True).status("starting") as status,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        try:
            return runner.run(until_done_or_told(status.update))
        except asyncio.CancelledError:
            raise typer.Exit(128 + signal.SIGTERM) from None


def _read(path: Path) -> "Report":
    from dstk_cli.bench.model import UnusableReportError, read_report  # noqa: PLC0415

    try:
        return read_report(path)
    except (UnusableReportError, OSError) as error:
        raise typer.BadParameter(str(error)) from error


@bench_app.command()
@guarded
def document(
    *,
    report: Annotated[Path, typer.Argument(help="A report that `--output` wrote.")],
    page: Annotated[Path, typer.Argument(help="The Markdown page with the two marker lines.")],
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit 1 when the page is out of date.")
    ] = False,
) -> None:
    """Put a report's tables between the markers of a Markdown page."""
    from dstk_cli.bench.document import with_figures  # noqa: PLC0415

    try:
        old = page.read_text(encoding="utf-8")
        new = with_figures(old, _read(report))
    except ValueError as error:  # markers that are missing, or no text
        raise typer.BadParameter(f"{str(page)!r}: {error}", param_hint="page") from error
    if check and new != old:
        typer.echo(f"{page} does not show the figures of {report}: run `dstk bench document {report} {page}`", err=True)
        raise typer.Exit(1)
    if new != old:
        page.write_text(new, encoding="utf-8")
