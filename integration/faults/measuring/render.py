"""Reports, for people and as JSON."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from faults.measuring.model import FORMAT, Figure, Measured, Report, Verdict

_COLOURS = {Verdict.MET: "green", Verdict.MISSED: "yellow", Verdict.BROKEN: "bold red", Verdict.INVALID: "magenta"}
_DECIMALS = {"s": 2, "%": 1}


def rows(measured: Measured, *, heading: bool) -> Table:
    """One measurement's part of the table; its columns line up with those of the other parts."""
    table = Table(show_header=heading, box=None, pad_edge=False)
    table.add_column("measurement", width=12)
    table.add_column("figure", width=42)
    table.add_column("found", width=14, justify="right")
    table.add_column("goal", width=14, justify="right")
    table.add_column("verdict", width=9)
    if measured.invalid:
        table.add_row(measured.name, escape(measured.invalid), "", "", _coloured(Verdict.INVALID))
    for number, figure in enumerate(measured.figures):
        name = "" if number or measured.invalid else measured.name
        table.add_row(name, figure.name, _shown(figure, figure.value), _goal(figure), _coloured(figure.verdict))
    return table


def _goal(figure: Figure) -> str:
    if figure.goal is None:
        return ""
    return f"{'≥' if figure.at_least else '≤'} {_shown(figure, figure.goal)}" if figure.goal else "none"


def _shown(figure: Figure, value: float) -> str:
    return f"{value:,.{_DECIMALS.get(figure.unit, 0)}f} {figure.unit}".strip()


def _coloured(verdict: Verdict) -> str:
    return f"[{_COLOURS[verdict]}]{verdict}[/]" if verdict else ""


def write(report: Report, path: Path) -> None:
    """Writes a report as indented JSON."""
    path.write_text(json.dumps(_as_json(report), indent=1, default=str) + "\n", encoding="utf-8")


def _as_json(report: Report) -> dict[str, Any]:
    plain = dataclasses.asdict(report)
    for found, measured in zip(plain["measurements"], report.measurements, strict=True):
        found["verdict"] = measured.verdict.value
        for figure, known in zip(found["figures"], measured.figures, strict=True):
            figure["verdict"] = known.verdict.value
    return {"format": FORMAT, **plain}
