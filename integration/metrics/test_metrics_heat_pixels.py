"""From slices to pixels: hotspots that the history has seen are where the picture is bright, and nowhere else."""

import io
from bisect import bisect_right
from collections.abc import Callable

import pytest
from kit.histories import NOON_MS, History
from PIL import Image

from dstk_cli.observe.heat_image import Heading, Layout, drawn
from dstk_cli.observe.matrix import Matrix
from dstk_cli.observe.quantities import Figure
from dstk_metrics.adapters.history_memory import MemoryHistoryStore

PARTITIONS, MINUTES, ROWS = 600, 60, 200
STARTS = [b"", *(b"user:%06d" % number for number in range(1, PARTITIONS))]
IDLE, HOT = 5.0, 20_000.0
LAYOUT = Layout(1600, 1000)
BRIGHT, DARK = 600, 350
"""Of the three parts of a colour together."""

Hotspot = Callable[[int], range]
"""The partitions that are hot in a minute."""


@pytest.mark.parametrize(
    "hotspot",
    [
        pytest.param(lambda _: range(333, 334), id="one key"),
        pytest.param(lambda _: range(200, 220), id="a prefix"),
        pytest.param(lambda minute: range(minute * 9, minute * 9 + 1), id="moving along the keys"),
    ],
)
def test_a_hotspot_is_bright_where_and_when_it_was_hot(hotspot: Hotspot) -> None:
    history = History(MemoryHistoryStore())
    for minute in range(MINUTES):
        hot = hotspot(minute)
        history.add(*(HOT if number in hot else IDLE for number in range(PARTITIONS)), starts=STARTS)
    message = history.ask(max_rows=ROWS, to_ms=history.now_ms).message
    matrix = Matrix.of(message)
    assert len(matrix.starts) <= ROWS
    assert matrix.times_ms[0] == NOON_MS
    image = drawn(matrix, Figure.READS, Heading("reads", "all keys"), LAYOUT)
    with Image.open(io.BytesIO(image)) as picture:
        for minute in range(MINUTES):
            rows = {_row(matrix, number) for number in hotspot(minute)}
            colours = [sum(picture.getpixel(_middle(matrix, row, minute))) for row in range(len(matrix.starts))]
            assert all(colours[row] > BRIGHT for row in rows), f"minute {minute}"
            cold = [colour for row, colour in enumerate(colours) if row not in rows]
            assert max(cold) < DARK, f"minute {minute}"


def _row(matrix: Matrix, partition: int) -> int:
    return bisect_right(matrix.starts, STARTS[partition]) - 1


def _middle(matrix: Matrix, row: int, minute: int) -> tuple[int, int]:
    """The pixel in the middle of a cell."""
    x = LAYOUT.left + (minute + 0.5) * LAYOUT.plot_width / MINUTES
    y = LAYOUT.top + (row + 0.5) * LAYOUT.plot_height / len(matrix.starts)
    return round(x), round(y)
