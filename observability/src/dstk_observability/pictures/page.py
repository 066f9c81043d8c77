"""A dashboard as one picture: its title, its rows, its panels at their places in the grid."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from PIL import Image

from dstk_observability.dashboards.model import GRID_WIDTH
from dstk_observability.pictures.panels import DRAW, GREY, MIDDLE, PALE, legend_height
from dstk_observability.pictures.series import Content, Mark, Panel

DOTS = 96
COLOURS = 256
CELL_WIDTH, CELL_HEIGHT = 0.72, 0.42
"""Of the grid, in inches."""
HEAD, FOOT = 2.7, 0.6
"""Above and below the panels, in cells."""
MARGINS = {
    "timeseries": (1.2, 0.0, 0.35, 1.2),
    "stat": (0.22, 0.25, 0.22, 1.0),
    "table": (0.22, 0.4, 0.22, 1.0),
    "logs": (0.22, 0.2, 0.22, 1.0),
}
"""Left, bottom, right and top of each kind of panel, in cells. A graph has its legend below."""


def draw(dashboard: Mapping[str, Any], contents: Mapping[int, Content], marks: Sequence[Mark], path: Path) -> None:
    """Writes a PNG. `contents`: by the panel's id. `marks`: shaded in every graph, and explained at the top; in order.
    Raises OSError.
    """
    begin = marks[0].begin
    marks = [mark.since(begin) for mark in marks]
    rows = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in dashboard["panels"])
    height = HEAD + rows + FOOT
    figure = Figure(figsize=(GRID_WIDTH * CELL_WIDTH, height * CELL_HEIGHT), dpi=DOTS, facecolor="white")
    _head(figure, dashboard, marks, height)
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            _row(figure, panel, height)
        else:
            _panel(figure, panel, contents[panel["id"]].since(begin), marks, height)
    _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    """With a palette: a third of the size, and nothing is lost that an eye sees."""
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png")
    picture = Image.open(drawn).convert("RGB")
    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)


def _head(figure: Figure, dashboard: Mapping[str, Any], marks: Sequence[Mark], height: float) -> None:
    figure.text(0.008, 1 - 0.75 / height, dashboard["title"], size=16, weight="bold", va="center")
    figure.text(0.008, 1 - 1.5 / height, dashboard["description"], size=10, color=GREY, va="center")
    texts = (f"{number}: {mark.text}" for number, mark in enumerate(marks))
    figure.text(0.008, 1 - 2.15 / height, "Shaded: " + ";   ".join(texts), size=MIDDLE, color=GREY, va="center")


def _row(figure: Figure, panel: Panel, height: float) -> None:
    y = 1 - (HEAD + panel["gridPos"]["y"] + 0.6) / height
    figure.text(0.008, y, panel["title"], size=11, weight="bold", color="#2a2a2a", va="center")


def _panel(figure: Figure, panel: Panel, content: Content, marks: Sequence[Mark], height: float) -> None:
    place, kind = panel["gridPos"], panel["type"]
    left, bottom, right, top = MARGINS[kind]
    if kind == "timeseries":
        bottom = legend_height(content) / CELL_HEIGHT
    axes: Axes = figure.add_axes(
        (
            (place["x"] + left) / GRID_WIDTH,
            1 - (HEAD + place["y"] + place["h"] - bottom) / height,
            (place["w"] - left - right) / GRID_WIDTH,
            (place["h"] - top - bottom) / height,
        )
    )
    frame = (place["x"] + 0.08, place["y"] + 0.05, place["w"] - 0.16, place["h"] - 0.1)
    figure.add_artist(_frame(*frame, height))
    x, y = (place["x"] + 0.25) / GRID_WIDTH, 1 - (HEAD + place["y"] + 0.55) / height
    figure.text(x, y, panel["title"], size=9, weight="bold", va="center")
    if kind == "timeseries":
        axes.set_xlim(0, max(mark.end for mark in marks))
    DRAW[kind](axes, panel, content, marks)


def _frame(left: float, top: float, width: float, tall: float, height: float) -> FancyBboxPatch:
    corner = left / GRID_WIDTH, 1 - (HEAD + top + tall) / height
    style = "round,pad=0,rounding_size=0.003"
    return FancyBboxPatch(corner, width / GRID_WIDTH, tall / height, style, facecolor="none", edgecolor=PALE)
