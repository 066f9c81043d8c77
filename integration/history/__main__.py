"""`python -m history record` and `python -m history show`, at the front door as `make record` and `make history`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from history import recording, render
from history.model import BadLineError, Result, append, read
from history.suites import ROOT, SUITES, Suite

RESULTS = Path(__file__).with_name("results.jsonl")
WIDTH = 160

app = typer.Typer(add_completion=False, rich_markup_mode="rich", no_args_is_help=True)


@app.command()
def record(
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SUITE", help=f"This one alone; repeat for several of {', '.join(s.name for s in SUITES)}."
        ),
    ] = None,
    file: Annotated[Path, typer.Option(help="Where the lines go.")] = RESULTS,
) -> None:
    """Run the suites and add a line for each to the history, also for one that cannot run here.

    Exits with 1 when one of them failed. Commit the file with what it is about.
    """
    wanted = [_named(name) for name in only] if only else list(SUITES)
    _results(file)  # a file that cannot be read is refused before anything is run
    at = recording.commit(ROOT, RESULTS)
    added: list[Result] = []
    for suite in wanted:
        added.append(recording.run(suite, at, ROOT))
        append(file, added[-1])
    _console().print(render.table(added))
    if any(result.failed for result in added):
        raise typer.Exit(1)


@app.command()
def show(
    last: Annotated[int, typer.Option(min=1, help="How many results, the newest.")] = 30,
    svg: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the picture as SVG too.")] = None,
    file: Annotated[Path, typer.Option(help="Where the lines are.")] = RESULTS,
) -> None:
    """Show the history as a picture and a table."""
    results = _results(file)[-last:]
    console = _console(record=svg is not None)
    if not results:
        console.print(f"{file.name} has no results yet: run 'make record'")
        return
    console.print(render.picture(results))
    if svg is not None:
        console.save_svg(str(svg), title="DSTK: test results")
    console.print()
    console.print(render.table(results))


def _named(name: str) -> Suite:
    for suite in SUITES:
        if suite.name == name:
            return suite
    raise typer.BadParameter(f"{name!r} is none of {', '.join(s.name for s in SUITES)}", param_hint="--only")


def _results(file: Path) -> list[Result]:
    try:
        return read(file)
    except BadLineError as error:
        raise typer.BadParameter(str(error), param_hint="--file") from None


def _console(*, record: bool = False) -> Console:
    out = Console(record=record)
    return out if out.is_terminal else Console(width=WIDTH, record=record)


if __name__ == "__main__":
    app()
