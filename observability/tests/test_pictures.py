"""Every dashboard can be drawn, with data and without."""

import json
from pathlib import Path

import pytest
from PIL import Image

from dstk_observability.dashboards import DASHBOARDS
from dstk_observability.dashboards.grafana import render
from dstk_observability.dashboards.model import Dashboard
from dstk_observability.pictures import Content, Entry, Line, Mark, draw
from dstk_observability.pictures.series import colour_of, steps_of

DARK = 200
"""Text and lines; the shades of faults and the grid are lighter."""
BEGIN = 1_700_000_000.0
MARKS = [Mark(BEGIN, BEGIN + 40, "the quiet"), Mark(BEGIN + 60, BEGIN + 80, "a node is killed")]
LINES = [Line(f"storage-{number}", [(BEGIN + second, number * second) for second in range(80)]) for number in (1, 2)]
FULL = Content(LINES, [Entry("10:00:00.000", "error", "storage-1 the disk is full")])


def _draw(dashboard: Dashboard, content: Content, path: Path) -> Image.Image:
    file = json.loads(render(dashboard))
    draw(file, {panel["id"]: content for panel in file["panels"]}, MARKS, path)
    return Image.open(path)


@pytest.mark.parametrize("dashboard", [DASHBOARDS[0], DASHBOARDS[-2]], ids=lambda dashboard: dashboard.uid)
def test_a_picture_with_data_shows_more_than_one_without(dashboard: Dashboard, tmp_path: Path) -> None:
    full = _draw(dashboard, FULL, tmp_path / "full.png")
    empty = _draw(dashboard, Content(), tmp_path / "empty.png")
    assert full.size == empty.size
    assert full.width > 1500
    assert _inked(full) > _inked(empty)


def _inked(picture: Image.Image) -> int:
    histogram = picture.convert("L").histogram()
    return sum(histogram[:DARK])


def test_thresholds_colour_values() -> None:
    panel = next(
        panel for panel in json.loads(render(DASHBOARDS[0]))["panels"] if panel["title"] == "Least room on a disk"
    )
    (_, red), (low, yellow), (enough, green) = steps_of(panel)
    assert [colour_of(panel, value) for value in (low - 0.01, low, enough)] == [red, yellow, green]
    assert colour_of(panel, float("nan")) not in {red, yellow, green}
