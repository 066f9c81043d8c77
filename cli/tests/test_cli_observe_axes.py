"""What is drawn of a heat map: levels, colours, and the labels of its axes."""

import math
from datetime import UTC
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.stats import NOW_MS, history

from dstk_cli.observe import heat_axes
from dstk_cli.observe.heat_colours import palette
from dstk_cli.observe.matrix import GAP, LEVELS, Matrix

HOUR = 3_600_000


def test_the_peak_has_the_highest_level_zero_the_lowest_and_gaps_their_own() -> None:
    (row,) = Matrix.of(history([[0.0, 50.0, 100.0, None]])).levels()
    assert (row[0], row[2], row[3]) == (1, LEVELS, GAP)
    assert 1 < row[1] < LEVELS


@given(st.lists(st.floats(0, 2.0**100, width=32), min_size=2, max_size=20))
def test_levels_grow_with_values_and_a_level_stands_for_its_value(values: list[float]) -> None:
    matrix = Matrix.of(history([values]))
    (row,) = matrix.levels()
    ordered = [level for _, level in sorted(zip(values, row, strict=True))]
    assert ordered == sorted(ordered)
    for value, level in zip(values, row, strict=True):
        step = math.log1p(matrix.peak) / (LEVELS - 1)
        assert math.log1p(value) == pytest.approx(math.log1p(matrix.value_at(level)), abs=step)


def test_a_matrix_without_any_load_is_dark() -> None:
    assert Matrix.of(history([[0.0, 0.0]])).levels() == [b"\x01\x01"]


def test_colours_grow_brighter_from_level_to_level() -> None:
    colours = palette(LEVELS)[1:]
    luminance = [0.2126 * red + 0.7152 * green + 0.0722 * blue for red, green, blue in colours]
    assert all(lower < upper for lower, upper in pairwise(luminance))
    assert len(palette(LEVELS)) == LEVELS + 1


def test_columns_are_as_wide_as_their_times_are_long() -> None:
    matrix = Matrix.of(history([[1.0, 2.0]], column_times_ms=[NOW_MS, NOW_MS + 10], until_ms=NOW_MS + 100))
    assert matrix.column_of_pixel(10) == [0] + [1] * 9
    assert matrix.row_of_pixel(3) == [0, 0, 0]


@pytest.mark.parametrize("hours", [0.2, 1, 5, 24, 7 * 24, 35 * 24])
def test_times_are_labelled_at_whole_steps_that_are_far_enough_apart(hours: float) -> None:
    until = NOW_MS + round(hours * HOUR)
    ticks = list(heat_axes.time_ticks(NOW_MS, until, 10, UTC))
    assert 1 <= len(ticks) <= 11
    assert all(NOW_MS <= at <= until for at, _ in ticks)
    assert len({later - earlier for (earlier, _), (later, _) in pairwise(ticks)}) <= 1
    assert ticks[0][1].startswith(("14 Nov", "15 Nov", "19 Nov", "21 Nov", "28 Nov")), ticks[0]


@given(st.binary(max_size=1024), st.integers(2, 60))
def test_a_key_fits_its_label(key: bytes, most: int) -> None:
    label = heat_axes.key_label(key, most)
    assert len(label) <= max(most, len("(first key)"))
    assert label.isprintable()


@pytest.mark.parametrize(("rows", "pixels"), [(1, 100), (10, 100), (1536, 900), (5, 3)])
def test_labels_of_rows_do_not_touch(rows: int, pixels: int) -> None:
    labelled = heat_axes.labelled_rows(rows, pixels, 18)
    assert labelled[0] == 0
    assert all((upper - lower) * pixels / rows >= 18 for lower, upper in pairwise(labelled))
