"""The history for people: a table, and a picture of the same results as bars.

Rich draws both: it is among the dependencies already, and a picture in the terminal needs no viewer. As SVG it can be kept.
"""

from collections.abc import Iterable, Sequence
from itertools import groupby

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from history.model import Result

BAR = 40
"""Characters of the longest bar."""

TO_THE_END = {0, 1}
"""Exit codes of a suite of which every test was run."""


def table(results: Iterable[Result]) -> Table:
    """One row a result, the newest last."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("date", "commit", "suite"):
        made.add_column(heading, no_wrap=True)
    for heading in ("passed", "failed", "skipped", "seconds"):
        made.add_column(heading, justify="right")
    made.add_column("slowest, or why it was not run", overflow="fold")
    made.add_column("machine", overflow="fold")
    for result in results:
        made.add_row(*_head(result), *_found(result), _where(result))
    return made


def picture(results: Sequence[Result]) -> RenderableType:
    """A block a suite, a bar a run: as long as it took, by what came of it. Bars of one suite have one scale."""
    ordered = sorted(results, key=lambda result: result.suite)  # stable: within a suite the order stays
    blocks = [_block(suite, list(runs)) for suite, runs in groupby(ordered, key=lambda result: result.suite)]
    return Group(*blocks)


def _block(suite: str, runs: list[Result]) -> RenderableType:
    longest = max((run.seconds for run in runs), default=0.0) or 1.0
    lines = [Text(f"\n{suite}", style="bold")]
    lines += [_line(run, longest) for run in runs]
    return Group(*lines)


def _line(run: Result, longest: float) -> Text:
    line = Text(f"  {run.date:%Y-%m-%d %H:%M} {_commit(run):<14}", no_wrap=True, overflow="ellipsis")
    if run.not_run:
        return line.append(f"not run: {run.not_run}", style="dim")
    line.append("█" * max(1, round(BAR * run.seconds / longest)), style="red" if run.failed else "green")
    line.append(f" {run.seconds:,.0f} s, {run.passed:,} passed")
    if run.failed:
        line.append(f", {run.failed:,} failed", style="bold red")
    return line


def _commit(result: Result) -> str:
    return f"{result.commit[:12]}{'+' if result.dirty else ''}"


def _head(result: Result) -> tuple[str, str, str]:
    return f"{result.date:%Y-%m-%d %H:%M}", _commit(result), escape(result.suite)


def _found(result: Result) -> tuple[str, ...]:
    if result.not_run:
        return "", "", "", "", f"[dim]not run: {escape(result.not_run)}[/]"
    failed = f"[bold red]{result.failed:,}[/]" if result.failed else "0"
    end = "" if result.exit_code in TO_THE_END else f"[bold red]stopped early, exit code {result.exit_code}[/]; "
    slowest = ", ".join(f"{each.test.rpartition('::')[2]} {each.seconds:,.1f} s" for each in result.slowest[:2])
    return f"{result.passed:,}", failed, f"{result.skipped:,}", f"{result.seconds:,.1f}", end + escape(slowest)


def _where(result: Result) -> str:
    where = result.machine
    return escape(f"{where.cores} cores, {where.memory_gib:g} GiB, {where.cpu}")
