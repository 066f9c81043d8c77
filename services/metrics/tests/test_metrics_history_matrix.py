"""The matrix: what is hot remains visible, sums stay sums, and gaps are gaps."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dstk_metrics.domain.figures import HISTORY
from dstk_metrics.domain.history.coarsen import coarsen, cut
from dstk_metrics.domain.history.columns import columns
from dstk_metrics.domain.history.matrix import Matrix, Picture, draw
from dstk_metrics.domain.history.slots import Slot
from dstk_metrics.domain.history.tiers import MINUTE_MS, SlotKey

NOON_MS = 1_800_000_000_000 - 1_800_000_000_000 % (240 * MINUTE_MS)
NAN = math.nan
PARTITIONS = 20_000
STARTS = [b"", *(b"user/%06d" % number for number in range(1, PARTITIONS))]


def strip(starts: Sequence[bytes], values: Sequence[float] | NDArray[np.float32]) -> Slot:
    """A slot with one figure."""
    row = np.array([values], np.float32)
    return Slot(starts, row, np.where(np.isnan(row[0]), 0, MINUTE_MS).astype(np.uint32))


def picture(start: bytes = b"", end: bytes = b"", *, max_rows: int = 512, is_rate: bool = True) -> Picture:
    return Picture(start, end, max_rows, is_rate)


def row_of(matrix: Matrix, key: bytes) -> NDArray[np.float32]:
    return matrix.values[max(row for row, start in enumerate(matrix.starts) if start <= key)]


def background(seed: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).poisson(30, PARTITIONS).astype(np.float32)


def hot_at(place: Callable[[int], slice], minutes: int = 60) -> list[list[Slot]]:
    """An hour in which something on a uniform background is hot, stored as the history stores it."""
    stored: list[list[Slot]] = []
    previous: Sequence[bytes] = ()
    for minute in range(minutes):
        values = np.tile(background(minute), (len(HISTORY), 1))
        values[0, place(minute)] += 20_000
        kept = coarsen(Slot(STARTS, values, np.full(PARTITIONS, MINUTE_MS, np.uint32)), 2_000, previous)
        previous = kept.starts
        stored.append([Slot(kept.starts, kept.values[:1], kept.known_ms)])
    return stored


def test_a_hot_key_is_one_bright_row_at_its_place() -> None:
    matrix = draw(hot_at(lambda _: slice(12_345, 12_346)), picture())
    assert matrix.values.shape[0] <= 512
    hottest = np.argmax(matrix.values, axis=0)
    assert {matrix.starts[row] for row in hottest.tolist()} == {b"user/012345"}
    assert matrix.starts[hottest[0] + 1] == b"user/012346"
    rest = np.delete(matrix.values, hottest[0], axis=0)
    assert matrix.values[hottest[0]].min() > 8 * rest.max()


def test_a_hot_prefix_is_bright_and_nothing_else_is() -> None:
    matrix = draw(hot_at(lambda _: slice(5_000, 5_040)), picture())
    bright = [start for row, start in enumerate(matrix.starts) if matrix.values[row].min() > 10_000]
    assert len(bright) == 40
    assert (bright[0], bright[-1]) == (b"user/005000", b"user/005039")


def test_a_hotspot_that_moves_is_a_diagonal() -> None:
    matrix = draw(hot_at(lambda minute: slice(100 + 300 * minute, 101 + 300 * minute)), picture())
    hottest = np.argmax(matrix.values, axis=0).tolist()
    assert [matrix.starts[row] for row in hottest] == [b"user/%06d" % (100 + 300 * minute) for minute in range(60)]
    assert hottest == sorted(hottest)


def test_what_was_hot_for_one_column_only_is_not_averaged_away() -> None:
    matrix = draw(hot_at(lambda minute: slice(777, 778) if minute == 30 else slice(0, 0)), picture())
    row = row_of(matrix, b"user/000777")
    assert row[30] > 20_000 > 10 * np.delete(row, 30).max()


def test_sums_stay_sums_however_much_is_merged() -> None:
    stored = hot_at(lambda _: slice(12_345, 12_346), minutes=5)
    matrix = draw(stored, picture(max_rows=7))
    assert matrix.values.shape == (7, 5)
    expected = [background(minute).sum() + 20_000 for minute in range(5)]
    np.testing.assert_allclose(matrix.values.sum(axis=0), expected, rtol=1e-5)


def test_a_narrow_range_keeps_more_detail() -> None:
    stored = hot_at(lambda _: slice(12_345, 12_346), minutes=5)
    whole, part = draw(stored, picture()), draw(stored, picture(b"user/012000", b"user/013000"))
    inside = [start for start in whole.starts if b"user/012000" <= start < b"user/013000"]
    assert len(part.starts) > 2 * len(inside)
    assert part.starts[0] == b"user/012000"
    assert part.starts[-1] < b"user/013000"


def test_a_uniform_load_makes_even_rows() -> None:
    matrix = draw([[strip(STARTS, np.full(PARTITIONS, 10, np.float32))]], picture(max_rows=100))
    assert len(matrix.starts) == 100
    assert matrix.values.max() <= 1.02 * np.median(matrix.values)


def test_a_column_without_slots_is_unknown_and_so_is_a_range_that_no_slot_knows() -> None:
    stored = [[strip([b"", b"m"], [1, NAN])], [], [strip([b"", b"m"], [3, NAN])]]
    matrix = draw(stored, picture())
    np.testing.assert_array_equal(matrix.values, [[1, NAN, 3], [NAN, NAN, NAN]])


def test_a_row_that_is_known_in_part_shows_the_known_part() -> None:
    np.testing.assert_array_equal(draw([[strip([b"", b"m"], [4, NAN])]], picture(max_rows=1)).values, [[4]])


def test_nothing_stored_is_one_unknown_row() -> None:
    matrix = draw([[], []], picture(b"a", b"b"))
    assert matrix.starts == [b"a"]
    assert np.isnan(matrix.values).all() and matrix.values.shape == (1, 2)


def test_ranges_that_the_asked_range_cuts_are_divided_evenly() -> None:
    stored = [[strip([b"", b"c", b"m"], [8, 6, 4])]]
    matrix = draw(stored, picture(b"b", b"p"))
    assert matrix.starts == [b"b", b"c", b"m"]
    np.testing.assert_array_equal(matrix.values[:, 0], [4, 6, 2])
    inside = draw(stored, picture(b"d", b"e"))
    np.testing.assert_array_equal(inside.values, [[2]])


def test_a_column_of_several_slots_is_the_mean_of_a_rate_and_the_end_of_an_amount() -> None:
    slots = [strip([b""], [10]), strip([b"", b"m"], [4, 6])]
    rate = draw([slots], picture())
    np.testing.assert_array_equal(rate.values[:, 0], [4.5, 5.5])
    amount = draw([slots], picture(is_rate=False))
    np.testing.assert_array_equal(amount.values[:, 0], [4, 6])


@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=200), st.integers(1, 50))
@settings(deadline=None)
def test_a_cut_has_few_enough_rows_and_the_hottest_merged_row_is_near_the_best(heats: list[float], most: int) -> None:
    found = np.array(heats)
    firsts = cut(found, most).tolist()
    assert firsts[0] == 0 and len(firsts) <= most and firsts == sorted(set(firsts))
    bounds = [*firsts, len(heats)]
    merged = [found[a:b].sum() for a, b in pairwise(bounds) if b - a > 1]
    assert max(merged, default=0) <= 2 * found.sum() / most * (1 + 1e-9)


def test_a_cut_stays_while_it_is_good_and_is_mended_where_a_range_becomes_hot() -> None:
    def coarse(hot: int, seed: int, previous: Sequence[bytes]) -> Sequence[bytes]:
        values = background(seed)[None, :].copy()
        values[0, hot] += 50_000
        return coarsen(Slot(STARTS, values, np.full(PARTITIONS, 1, np.uint32)), 1_000, previous).starts

    first = coarse(3, 1, ())
    assert coarse(3, 2, first) == first
    mended = coarse(9_999, 3, first)
    assert set(first) < set(mended)
    assert {STARTS[9_999], STARTS[10_000]} <= set(mended)
    assert len(mended) <= 1_000


@pytest.mark.parametrize("most", [1, 2, 999])
def test_a_slot_never_has_more_ranges_than_allowed(most: int) -> None:
    previous: Sequence[bytes] = ()
    rng = np.random.default_rng(most)
    for _ in range(30):
        values = rng.pareto(0.6, (3, 5_000)).astype(np.float32)
        found = coarsen(Slot(STARTS[:5_000], values, np.full(5_000, 1, np.uint32)), most, previous)
        assert len(found.starts) <= most and found.starts[0] == b""
        np.testing.assert_allclose(
            found.values.sum(axis=1, dtype=np.float64), values.sum(axis=1, dtype=np.float64), rtol=1e-5
        )
        previous = found.starts


def keys_from(minutes: Sequence[int], tier: int = 0) -> list[SlotKey]:
    return [SlotKey(NOON_MS + minute * MINUTE_MS, tier, minute + 1000 * tier) for minute in minutes]


def test_columns_are_as_narrow_as_the_slots_and_gaps_have_columns_of_their_own() -> None:
    found = columns(keys_from([0, 1, 4]), NOON_MS, NOON_MS + 6 * MINUTE_MS, 60)
    assert [(column.begin_ms - NOON_MS) // MINUTE_MS for column in found] == [0, 1, 2, 3, 4, 5]
    assert [len(column.keys) for column in found] == [1, 1, 0, 0, 1, 0]


def test_columns_become_wider_until_they_are_few_enough() -> None:
    keys = [*keys_from([0, 30, 60], 3), *keys_from(range(90, 150))]
    found = columns(keys, NOON_MS, NOON_MS + 150 * MINUTE_MS, 20)
    widths = [(column.end_ms - column.begin_ms) // MINUTE_MS for column in found]
    assert widths == [30, 30, 30, *[6] * 10]
    assert [len(column.keys) for column in found] == [1, 1, 1, *[6] * 10]


@given(
    st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 4)), max_size=60),
    st.integers(0, 3000 * MINUTE_MS),
    st.integers(1, 5000 * MINUTE_MS),
    st.integers(1, 100),
)
@settings(deadline=None)
def test_columns_cover_the_time_without_gap_or_overlap_and_have_each_slot_once(
    places: list[tuple[int, int]], offset: int, length: int, most: int
) -> None:
    keys: list[SlotKey] = []
    for minute, tier in places:
        key = SlotKey(NOON_MS, tier, 0)
        span = key.end_ms - key.begin_ms
        key = SlotKey(NOON_MS + minute * MINUTE_MS // span * span, tier, 0)
        if not any(key.begin_ms < other.end_ms and other.begin_ms < key.end_ms for other in keys):
            keys.append(key)
    begin, end = NOON_MS + offset, NOON_MS + offset + length
    found = columns(keys, begin, end, most)
    assert 1 <= len(found) <= most
    assert found[0].begin_ms <= begin and found[-1].end_ms >= end
    assert all(a.end_ms == b.begin_ms for a, b in pairwise(found))
    inside = sorted(key for key in keys if key.begin_ms < end and key.end_ms > begin)
    assert [key for column in found for key in column.keys] == inside
    assert all(
        column.begin_ms <= key.begin_ms and key.end_ms <= column.end_ms for column in found for key in column.keys
    )
