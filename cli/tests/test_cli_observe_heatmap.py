"""`dstk heatmap` against a scripted router: the pixels of the picture, the preview, and what is refused."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from kit.screen import on_screen
from kit.stats import NOW_MS, history
from PIL import Image

from dstk.v1 import metrics_pb2
from dstk_cli.observe.heat_colours import GAP_COLOUR, HATCH_COLOUR
from dstk_cli.observe.heat_image import Layout

ROWS, COLUMNS = 40, 30
HOT_ROW, HOT_COLUMN, GAP_COLUMN = 25, 12, 3
LAYOUT = Layout(1600, 1000)


def matrix() -> metrics_pb2.GetHistoryResponse:
    """An idle cluster with a hotspot, and a minute of which nothing is known."""
    rows: list[list[float | None]] = [
        [None if column == GAP_COLUMN else 10.0 for column in range(COLUMNS)] for _ in range(ROWS)
    ]
    rows[HOT_ROW][HOT_COLUMN] = 50_000.0
    return history(rows)


@pytest.fixture
def cluster(operate: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    operate.asked = []

    def answer(request: Any) -> metrics_pb2.GetHistoryResponse:
        operate.asked.append(request)
        return matrix()

    operate.router.answers["GetHistory"] = [answer]
    return operate


def brightness(colour: Any) -> int:
    return sum(colour)


def middle(row: int, column: int) -> tuple[int, int]:
    """The pixel in the middle of a cell."""
    x = LAYOUT.left + (column + 0.5) * LAYOUT.plot_width / COLUMNS
    return round(x), round(LAYOUT.top + (row + 0.5) * LAYOUT.plot_height / ROWS)


def test_the_hotspot_is_the_brightest_place_of_the_picture(cluster: Any) -> None:
    written = cluster("heatmap", "--output", "reads.png")
    assert written.exit_code == 0, written.output
    assert "written reads.png: reads a second, all keys" in written.stderr
    assert "the brightest is 50,000/s" in written.stderr
    with Image.open("reads.png") as picture:
        assert (picture.format, picture.size, picture.mode) == ("PNG", (1600, 1000), "RGB")
        colours = {
            (row, column): picture.getpixel(middle(row, column)) for row in range(ROWS) for column in range(COLUMNS)
        }
    ordered = sorted(colours, key=lambda cell: brightness(colours[cell]))
    assert ordered[-1] == (HOT_ROW, HOT_COLUMN)
    assert brightness(colours[HOT_ROW, HOT_COLUMN]) > 600
    others = {colour for cell, colour in colours.items() if cell[1] != GAP_COLUMN and cell != (HOT_ROW, HOT_COLUMN)}
    assert len(others) == 1, "cells of one value have one colour"
    gaps = {colour for cell, colour in colours.items() if cell[1] == GAP_COLUMN}
    assert gaps <= {GAP_COLOUR, HATCH_COLOUR}


def test_a_gap_is_hatched_and_the_axes_and_the_legend_are_drawn(cluster: Any) -> None:
    cluster("heatmap", "-o", "reads.png")
    with Image.open("reads.png") as picture:
        width = LAYOUT.plot_width // COLUMNS
        left = LAYOUT.left + GAP_COLUMN * LAYOUT.plot_width // COLUMNS + 1
        gap = picture.crop((left, LAYOUT.top, left + width - 2, LAYOUT.top + LAYOUT.plot_height))
        assert {colour for _, colour in gap.getcolors()} == {GAP_COLOUR, HATCH_COLOUR}
        below = LAYOUT.top + LAYOUT.plot_height
        parts = {
            "title": (0, 0, LAYOUT.width, LAYOUT.top),
            "keys": (0, LAYOUT.top, LAYOUT.left, below),
            "times": (LAYOUT.left, below, LAYOUT.left + LAYOUT.plot_width, LAYOUT.height),
            "legend": (LAYOUT.left + LAYOUT.plot_width, LAYOUT.top, LAYOUT.width, below),
        }
        for name, box in parts.items():
            assert len(picture.crop(box).getcolors(1 << 20)) > 3, f"{name}: nothing is written there"


def test_the_matrix_is_asked_for_as_the_picture_needs_it(cluster: Any) -> None:
    arguments = ["--figure", "written-bytes", "user:", "--from", "2023-11-14T22:00Z", "--to", "2023-11-14T23:00Z"]
    assert cluster("heatmap", "-o", "x.png", "--width", "800", "--height", "4096", *arguments).exit_code == 0
    (request,) = cluster.asked
    assert request == metrics_pb2.GetHistoryRequest(
        figure=metrics_pb2.FIGURE_WRITTEN_BYTES,
        start=b"user:",
        end=b"user;",
        from_ms=round(datetime(2023, 11, 14, 22, tzinfo=UTC).timestamp() * 1000),
        to_ms=round(datetime(2023, 11, 14, 23, tzinfo=UTC).timestamp() * 1000),
        max_rows=1536,
        max_columns=Layout(800, 4096).plot_width,
    )


def test_the_last_hours_count_from_now_or_from_the_end(cluster: Any) -> None:
    assert cluster("heatmap", "-o", "json", "--last", "2h", "--to", "2023-11-14T22:13:20Z").exit_code == 0
    assert cluster("heatmap", "-o", "json").exit_code == 0
    bounded, default = cluster.asked
    assert (bounded.from_ms, bounded.to_ms) == (NOW_MS - 7_200_000, NOW_MS)
    assert (default.from_ms, default.to_ms) == (0, 0)


def test_a_file_is_replaced_only_when_asked_and_then_whole(cluster: Any) -> None:
    kept = Path("reads.png")
    kept.write_bytes(b"kept")
    refused = cluster("heatmap", "-o", "reads.png")
    assert refused.exit_code == 2
    assert "--overwrite" in refused.stderr
    assert kept.read_bytes() == b"kept"
    assert not cluster.asked
    assert cluster("heatmap", "-o", "reads.png", "--overwrite").exit_code == 0
    with Image.open(kept) as picture:
        picture.verify()
    assert [each.name for each in Path().iterdir()] == ["reads.png"], "nothing is left beside it"


def test_a_directory_that_does_not_exist_is_an_error(cluster: Any) -> None:
    refused = cluster("heatmap", "-o", "missing/reads.png")
    assert refused.exit_code == 1
    assert "missing/reads.png: No such file or directory" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-o", "reads.jpg"], "neither json nor a picture"),
        (["-o", "reads"], "neither json nor a picture"),
        (["-o", ""], "neither json nor a picture"),
        ([], "drawn on terminals only"),
        (["-o", "x.png", "--figure", "lag"], "--figure"),
        (["-o", "x.png", "--last", "soon"], "is not a duration"),
        (["-o", "x.png", "--last", "0"], "is out of bounds"),
        (["-o", "x.png", "--last", "1h", "--from", "2023-11-14"], "exclude each other"),
        (["-o", "x.png", "--from", "yesterday"], "is not a time"),
        (["-o", "x.png", "--from", "1969-01-01"], "before 1970"),
        (["-o", "x.png", "--from", "2023-11-14", "--to", "2023-11-13"], "is not earlier than --to"),
        (["-o", "x.png", "--from", "9990-01-01"], "is not earlier than now"),
        (["-o", "x.png", "--width", "100"], "--width"),
    ],
)
def test_what_cannot_be_drawn_is_refused(cluster: Any, arguments: list[str], said: str) -> None:
    refused = cluster("heatmap", *arguments)
    assert refused.exit_code == 2, refused.output
    assert said in refused.stderr
    assert not cluster.asked


@pytest.mark.parametrize(
    "answer",
    [
        metrics_pb2.GetHistoryResponse(),
        history([[None, None]]),
        history([[1.0, 2.0]], values=b"\0" * 7),
        history([[1.0, 2.0]], until_ms=NOW_MS),
    ],
)
def test_a_history_that_has_nothing_to_draw_is_an_error(cluster: Any, answer: Any) -> None:
    cluster.router.answers["GetHistory"] = [answer]
    refused = cluster("heatmap", "-o", "reads.png")
    assert refused.exit_code == 1, refused.output
    assert "metrics service" in refused.stderr
    assert not Path("reads.png").exists()


def test_json_has_null_where_nothing_is_known(cluster: Any) -> None:
    found = json.loads(cluster("heatmap", "-o", "json").stdout)
    assert (found["figure"], found["peak"], len(found["rows"])) == ("reads", 50_000, ROWS)
    hot = found["rows"][HOT_ROW]
    assert (hot["start"], hot["values"][HOT_COLUMN], hot["values"][GAP_COLUMN]) == ("user:0025", 50_000, None)
    assert found["times"][0] == "2023-11-14T22:13:20.000Z"


def test_keys_of_any_bytes_are_drawn(cluster: Any) -> None:
    starts = [b"", b"\x00\xff", "Zürich💥".encode(), b"x" * 1024, b"\x1b[31m"]
    cluster.router.answers["GetHistory"] = [history([[float(at)] for at in range(5)], starts=starts)]
    assert cluster("heatmap", "-o", "keys.png").exit_code == 0
    with Image.open("keys.png") as picture:
        picture.verify()


def test_on_a_terminal_the_map_is_shown_there(cluster: Any) -> None:
    address = cluster.router.address
    with on_screen("heatmap", columns=100, lines=20, DSTK_ROUTER=address, COLORTERM="truecolor") as screen:
        screen.wait_for("░ unknown".encode())
        shown = screen.shown.decode()
    assert "user:0025" in shown or "user:0024" in shown
    assert "▀" in shown
    assert "░" in shown.split("░ unknown")[0], "the gap"
    assert "\x1b[38;2;252;255;164" in shown or "48;2;252;255;164" in shown, "the hotspot is bright"
