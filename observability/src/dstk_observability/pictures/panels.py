"""The kinds of panels, each drawn into axes of its own."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator, MultipleLocator

from dstk_observability.dashboards.units import Unit, readable
from dstk_observability.pictures.series import COLOURS, Content, Line, Mark, Panel, colour_of, shown, steps_of, unit_of

PALETTE = (
    "#3d71d9", "#e0752d", "#4f9e46", "#a352cc", "#d8334a", "#0a9bb0", "#b8860b", "#7a4b2b", "#5f6b7a", "#c15c8d",
)  # fmt: skip
MOST_NAMES, MOST_ROWS, MOST_VALUES, MOST_COLUMNS = 8, 12, 12, 6
NAME_LENGTH = 34
ROWS_IN_CELL, MOST_LETTERS = 2, 210
SMALL, MIDDLE = 7, 8.5
LEGEND_BEGINS, LEGEND_LINE = 0.36, 0.175
"""Below a graph, in inches."""
GREY, PALE, SHADE = "#5a5a5a", "#e3e3e3", "#f1f1f1"

LEVELS = {"debug": "#8e8e8e", "info": COLOURS["green"], "warning": COLOURS["yellow"]}
"""Colours of levels; red for those above."""

BINARY = {Unit.BYTES, Unit.BYTES_PER_SECOND}

Draw = Callable[[Axes, Panel, Content, Sequence[Mark]], None]


def graph(axes: Axes, panel: Panel, content: Content, marks: Sequence[Mark]) -> None:
    """Lines over time, thresholds where they are in sight, and a legend with the last and the largest value."""
    ordered = sorted(content.filled, key=lambda line: max(line.numbers), reverse=True)
    if _is_stacked(panel):
        top = _stack(axes, ordered)
    else:
        for number, line in enumerate(ordered):
            axes.plot(*zip(*line.points, strict=True), color=_colour(number), linewidth=1)
        top = max((max(line.numbers) for line in ordered), default=0)
    top = _limit(axes, top)
    _thresholds(axes, panel, top)
    _marks(axes, marks)
    _scales(axes, panel)
    _legend(axes, panel, ordered)


def legend_height(content: Content) -> float:
    """How many inches a graph needs below its axes."""
    shown_lines = len(content.filled)
    return LEGEND_BEGINS + LEGEND_LINE * (math.ceil(min(shown_lines, MOST_NAMES) / 2) + (shown_lines > MOST_NAMES))


def stat(axes: Axes, panel: Panel, content: Content, _: Sequence[Mark]) -> None:
    """The last value of each series, large, on the colour of its threshold."""
    _bare(axes)
    values = [(line.name, line.last) for line in content.lines if line.numbers][:MOST_VALUES] or [("", math.nan)]
    columns = min(len(values), MOST_COLUMNS)
    rows = math.ceil(len(values) / columns)
    for number, (name, value) in enumerate(values):
        place = number % columns / columns, 1 - (number // columns + 1) / rows
        axes.add_patch(_box(*place, 1 / columns, 1 / rows, colour_of(panel, value)))
        _figure(axes, place, (columns, rows), "" if len(values) == 1 else name, shown(panel, value))


def _figure(axes: Axes, place: tuple[float, float], among: tuple[int, int], name: str, value: str) -> None:
    """A value in the middle of its box, with the name of its series above; `among`: columns and rows of boxes."""
    (left, bottom), (columns, rows) = place, among
    middle, height = left + 0.5 / columns, 0.36 if name else 0.5
    size = max(8, 15 - 2 * rows) if name else 19
    centred: dict[str, Any] = {"color": "white", "ha": "center", "va": "center"}
    axes.text(middle, bottom + 0.72 / rows, name, size=SMALL, **centred)
    axes.text(middle, bottom + height / rows, value, size=size, weight="bold", **centred)


def table(axes: Axes, panel: Panel, content: Content, _: Sequence[Mark]) -> None:
    """Name and last value of each series, the largest first."""
    _bare(axes)
    rows = sorted((line for line in content.lines if line.numbers), key=lambda line: -line.last)
    if not rows:
        axes.text(0.5, 0.5, panel["fieldConfig"]["defaults"]["noValue"], size=MIDDLE, color=GREY, ha="center")
    for number, line in enumerate(rows[:MOST_ROWS]):
        middle = 1 - (number + 0.5) / MOST_ROWS
        axes.add_patch(_box(0.78, middle - 0.4 / MOST_ROWS, 0.2, 0.8 / MOST_ROWS, colour_of(panel, line.last)))
        axes.text(0.02, middle, line.name, size=MIDDLE, va="center", clip_on=True)
        value = shown(panel, line.last)
        axes.text(0.88, middle, value, size=MIDDLE, color="white", ha="center", va="center", weight="bold")
    if len(rows) > MOST_ROWS:
        axes.set_xlabel(f"{len(rows) - MOST_ROWS} more", size=SMALL, color=GREY)


def logs(axes: Axes, panel: Panel, content: Content, _: Sequence[Mark]) -> None:
    """The newest lines that fit."""
    _bare(axes)
    rows = panel["gridPos"]["h"] * ROWS_IN_CELL
    for number, entry in enumerate(content.entries[:rows]):
        middle = 1 - (number + 0.7) / rows
        colour = LEVELS.get(entry.level, COLOURS["red"])
        axes.text(0.004, middle, "▌", size=MIDDLE, color=colour, va="center")
        axes.text(0.015, middle, entry.moment, size=SMALL, color=GREY, va="center", family="monospace")
        axes.text(0.105, middle, entry.text[:MOST_LETTERS], size=SMALL, va="center", family="monospace", clip_on=True)


DRAW: Mapping[str, Draw] = {"timeseries": graph, "stat": stat, "table": table, "logs": logs}
"""By Grafana's type of the panel."""


def _is_stacked(panel: Panel) -> bool:
    stacking = panel["fieldConfig"]["defaults"].get("custom", {}).get("stacking", {})
    return bool(stacking.get("mode") == "normal")


def _stack(axes: Axes, lines: Sequence[Line]) -> float:
    """Draws areas on top of each other; series that lack a moment count as 0 there. Returns the highest sum."""
    moments = sorted({moment for line in lines for moment, _ in line.points})
    heights = [_at(line, moments) for line in lines]
    if not moments:
        return 0
    axes.stackplot(moments, heights, colors=[_colour(number) for number in range(len(lines))], alpha=0.75, linewidth=0)
    return max(map(sum, zip(*heights, strict=True)))


def _at(line: Line, moments: Sequence[float]) -> list[float]:
    known = {moment: value for moment, value in line.points if not math.isnan(value)}
    return [known.get(moment, 0.0) for moment in moments]


def _limit(axes: Axes, top: float) -> float:
    """The upper end of the scale, which starts at 0."""
    limit = top * 1.15 or 1.0
    axes.set_ylim(0, limit)
    return limit


def _thresholds(axes: Axes, panel: Panel, top: float) -> None:
    for bound, colour in steps_of(panel)[1:]:
        if bound <= top:
            axes.axhline(bound, color=colour, linewidth=0.9, linestyle=(0, (5, 3)))


def _marks(axes: Axes, marks: Sequence[Mark]) -> None:
    for number, mark in enumerate(marks):
        axes.axvspan(mark.begin, mark.end, color=SHADE, linewidth=0, zorder=0)
        middle = (mark.begin + mark.end) / 2
        axes.text(middle, 1.01, str(number), size=SMALL, color=GREY, transform=axes.get_xaxis_transform(), ha="center")


def _scales(axes: Axes, panel: Panel) -> None:
    unit = unit_of(panel)
    axes.yaxis.set_major_locator(_powers_of_two(axes) if unit in BINARY else MaxNLocator(5))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: readable(float(f"{value:.6g}"), unit)))
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda minutes, _: f"{minutes:g} min"))
    axes.tick_params(labelsize=SMALL, colors=GREY, length=2)
    axes.grid(visible=True, color=PALE, linewidth=0.6)
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_color(PALE)


def _powers_of_two(axes: Axes) -> MultipleLocator:
    """Four to eight ticks that read well in KiB and MiB."""
    top = axes.get_ylim()[1]
    return MultipleLocator(2 ** math.ceil(math.log2(top / 8)))


def _legend(axes: Axes, panel: Panel, lines: Sequence[Line]) -> None:
    """Below the graph, in two columns."""
    inch = axes.figure.dpi / axes.bbox.height
    for number, line in enumerate(lines[:MOST_NAMES]):
        x, y = 0.5 * (number % 2), -inch * (LEGEND_BEGINS + LEGEND_LINE * (number // 2))
        last, largest = shown(panel, line.last), shown(panel, max(line.numbers))
        axes.text(x, y, "━", size=MIDDLE, color=_colour(number), transform=axes.transAxes, va="center")
        text = f"{_short(line.name)}  {last}" + (f"  max {largest}" if largest != last else "")
        axes.text(x + 0.04, y, text, size=SMALL, color=GREY, transform=axes.transAxes, va="center")
    if len(lines) > MOST_NAMES:
        y = -inch * (LEGEND_BEGINS + LEGEND_LINE * MOST_NAMES / 2)
        more = f"{len(lines) - MOST_NAMES} more"
        axes.text(0.04, y, more, size=SMALL, color=GREY, transform=axes.transAxes, va="center")


def _colour(number: int) -> str:
    return PALETTE[number % len(PALETTE)]


def _short(name: str) -> str:
    return name if len(name) <= NAME_LENGTH else f"…{name[1 - NAME_LENGTH :]}"


def _bare(axes: Axes) -> None:
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color(PALE)


def _box(left: float, bottom: float, width: float, height: float, colour: str) -> Rectangle:
    return Rectangle((left, bottom), width, height, facecolor=colour, edgecolor="white", linewidth=1)
