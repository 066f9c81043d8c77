"""Renders a report as tables: with Rich for the terminal, as Markdown for docs/."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table as RichTable

from dstk_bench.cases import all_cases
from dstk_bench.goals import Change, Comparison, Outcome, Verdict, compare, outcomes
from dstk_bench.metrics_cost import Cost, cpu_us
from dstk_bench.model import Figure, Report
from dstk_cli.untrusted import as_markup

_COLOURS = {
    Verdict.MET.value: "green",
    Verdict.MISSED.value: "red",
    Verdict.UNMEASURED.value: "yellow",
    Change.BETTER.value: "green",
    Change.WORSE.value: "red",
}


_IN_MILLISECONDS_FROM_US = 10_000


@dataclass(frozen=True, slots=True)
class Table:
    """A title, headings, and rows of as many cells as there are headings; the first `text_columns` are left-aligned."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    text_columns: int = 2


def tables(report: Report, baseline: Report | None = None) -> list[Table]:
    """The tables of a report, in order; with a baseline, also the comparison."""
    found = [_machine(report), _figures(report), _goals(outcomes(report))]
    if report.gaps:
        found.append(Table("Not measured", ("what", "why"), tuple((each.what, each.why) for each in report.gaps)))
    if baseline is not None:
        found.append(_comparison(compare(report, baseline)))
    return found


def metrics_cost_table(costs: Iterable[Cost]) -> Table:
    """The table of what the metrics service costs a storage node."""
    headings = ("case", "rounds", "throughput with / without", "CPU of the node with", "without", "ratio")
    rows = tuple(_cost(cost, cpu_us(cost.followed), cpu_us(cost.alone)) for cost in costs)
    return Table("What the metrics service costs a storage node", headings, rows, text_columns=1)


def _cost(cost: Cost, followed_us: float, alone_us: float) -> tuple[str, ...]:
    ratio = f"{followed_us / alone_us:.3f}" if alone_us else "-"
    each = f"{cost.throughput:.3f}", f"{followed_us:.2f} µs", f"{alone_us:.2f} µs", ratio
    return cost.title, str(len(cost.alone)), *each


def _machine(report: Report) -> Table:
    machine, settings = report.machine, report.settings
    packages = ", ".join(f"{name} {number}" for name, number in machine.packages.items())
    rows = [
        ("run", report.started),
        ("processor", f"{machine.cpu}, {machine.cores} cores, {machine.memory_gib:g} GiB"),
        ("system", f"{machine.kernel}, {machine.python}"),
        (
            "disk",
            f"{machine.filesystem}; fdatasync of 4 KiB: {_us(machine.fsync_p50_us)}, p99 {_us(machine.fsync_p99_us)}",
        ),
        ("packages", packages),
        ("load", f"{settings.records:,} records, values of {settings.value_bytes} bytes"),
        ("rounds", f"{settings.rounds} of {settings.round_seconds:g} s for each case and system, interleaved; medians"),
        *report.systems.items(),
    ]
    return Table("Machine and systems", ("what", "is"), tuple(rows))


def _figures(report: Report) -> Table:
    rows: list[tuple[str, ...]] = []
    for case in all_cases():
        measured = [each for each in report.figures if each.case == case.name]
        rows.extend((case.title if not index else "", *_figure_cells(each)) for index, each in enumerate(measured))
    return Table("Figures", ("case", "system", "rate", "± rounds", "p50 of a call", "p99"), tuple(rows))


def _figure_cells(figure: Figure) -> tuple[str, ...]:
    rate = f"{figure.rate:,.0f} {figure.unit}s/s"
    return figure.system, rate, f"{figure.spread:.0%}", _us(figure.p50_us), _us(figure.p99_us)


def _goals(found: Iterable[Outcome]) -> Table:
    rows = tuple((each.goal.title, each.verdict.value, each.goal.limit, *_ratio_cells(each)) for each in found)
    return Table("Goals", ("goal", "verdict", "asked", "found", "over the rounds"), rows)


def _ratio_cells(outcome: Outcome) -> tuple[str, str]:
    if not outcome.ratio:
        return "—", "—"
    sign = "x" if outcome.goal.against else " µs"
    return f"{outcome.ratio:.2f}{sign}", f"{outcome.low:.2f}…{outcome.high:.2f}"


def _comparison(found: Iterable[Comparison]) -> Table:
    rows = tuple(
        (each.now.goal.title, each.change.value, _ratio_cells(each.before)[0], _ratio_cells(each.now)[0])
        for each in found
    )
    return Table("Against the baseline (ratios only)", ("goal", "change", "baseline", "now"), rows)


def _us(microseconds: float) -> str:
    return f"{microseconds:,.0f} µs" if microseconds < _IN_MILLISECONDS_FROM_US else f"{microseconds / 1000:,.1f} ms"


def print_tables(console: Console, found: Sequence[Table]) -> None:
    """Prints the tables on a console."""
    for table in found:
        console.print(_rich(table))


def _rich(table: Table) -> RichTable:
    rich = RichTable(title=table.title, title_justify="left", title_style="bold")
    for index, heading in enumerate(table.headings):
        rich.add_column(heading, justify="left" if index < table.text_columns else "right", overflow="fold")
    for row in table.rows:
        rich.add_row(*(f"[{_COLOURS[cell]}]{cell}[/]" if cell in _COLOURS else as_markup(cell) for cell in row))
    return rich


def markdown(found: Sequence[Table]) -> str:
    """The tables as Markdown."""
    return "\n\n".join(_markdown(table) for table in found)


def _markdown(table: Table) -> str:
    rule = ("---" if index < table.text_columns else "---:" for index in range(len(table.headings)))
    lines = (table.headings, tuple(rule), *table.rows)
    body = "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in line) + " |" for line in lines
    )
    return f"### {table.title}\n\n{body}"
