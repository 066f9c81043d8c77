"""Slots: how minutes come together, and that none is lost, doubled or kept too long."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dstk_metrics.domain.figures import HISTORY, RATES
from dstk_metrics.domain.history.join import join
from dstk_metrics.domain.history.minutes import LONGEST_MS, OpenMinutes
from dstk_metrics.domain.history.slots import Slot
from dstk_metrics.domain.history.tiers import MINUTE_MS, SPAN_MS, TIERS, SlotKey, next_merge, oldest_first, place
from dstk_metrics.domain.slices import Slice

HOUR_MS = 60 * MINUTE_MS
NOON_MS = 1_800_000_000_000 - 1_800_000_000_000 % (240 * MINUTE_MS)
NAN = math.nan


def slot(values: dict[bytes, float], known_ms: int = MINUTE_MS) -> Slot:
    """A slot in which each figure of a range is the same number."""
    row = np.array(list(values.values()), np.float32)
    return Slot(list(values), np.tile(row, (len(HISTORY), 1)), np.where(np.isnan(row), 0, known_ms).astype(np.uint32))


def shown(found: Slot, row: int = 0) -> dict[bytes, float | None]:
    """The values of one figure; None for NaN."""
    return {
        start: None if math.isnan(value) else value
        for start, value in zip(found.starts, found.values[row].tolist(), strict=True)
    }


def a_slice(begin_ms: int, end_ms: int, value: float = 1.0) -> Slice:
    return Slice(begin_ms, end_ms, [b""], np.full((len(HISTORY), 1), value, np.float32))


class Log:
    """Which minutes each slot has: a history without figures."""

    def __init__(self) -> None:
        self.minutes: dict[SlotKey, list[int]] = {}
        self.dropped: list[int] = []

    def write(self, minute_ms: int) -> None:
        key = place(self.minutes, minute_ms)
        self.minutes.setdefault(key, []).append(minute_ms)
        while merge := next_merge(self.minutes):
            found = [minute for source in merge.sources for minute in self.minutes.pop(source)]
            if merge.target is None:
                self.dropped += found
            else:
                assert merge.target not in self.minutes
                self.minutes[merge.target] = found

    def check(self) -> None:
        ordered = sorted(self.minutes)
        assert all(a.end_ms <= b.begin_ms for a, b in pairwise(ordered)), "slots overlap"
        assert len({key.written for key in ordered}) == len(ordered)
        for number, tier in enumerate(TIERS):
            members = [key for key in ordered if key.tier == number]
            assert len(members) <= tier.size
            assert all(key.begin_ms % tier.length_ms == 0 for key in members)
        assert all(key.covers(minute) for key, minutes in self.minutes.items() for minute in minutes)


@pytest.mark.slow
def test_five_weeks_of_minutes_fill_the_tiers_as_in_the_key_visualizer() -> None:
    log = Log()
    minutes = SPAN_MS // MINUTE_MS + 1000
    for number in range(minutes):
        log.write(NOON_MS + number * MINUTE_MS)
    log.check()
    counts = [sum(key.tier == tier for key in log.minutes) for tier in range(len(TIERS))]
    assert all(tier.size - 8 < found <= tier.size for found, tier in zip(counts, TIERS, strict=True)), counts
    kept = sorted(minute for found in log.minutes.values() for minute in found)
    assert kept == list(range(kept[0], NOON_MS + minutes * MINUTE_MS, MINUTE_MS)), "a minute is lost or doubled"
    assert kept[-1] - kept[0] > 33.5 * 24 * HOUR_MS


@given(
    st.lists(st.tuples(st.sampled_from([-3000, -100, -7, -1, 0, 2, 9, 500, 40_000]), st.integers(1, 150)), max_size=12)
)
@settings(max_examples=40, deadline=None)
def test_whatever_the_clock_does_slots_never_overlap_and_no_minute_is_lost(jumps: list[tuple[int, int]]) -> None:
    log, now, written = Log(), NOON_MS, []
    for jump, minutes in jumps:
        now += jump * MINUTE_MS
        for _ in range(minutes):
            log.write(now)
            written.append(now)
            now += MINUTE_MS
        log.check()
    kept = [minute for found in log.minutes.values() for minute in found]
    assert sorted(kept + log.dropped) == sorted(written)


def test_a_clock_that_jumps_years_ahead_and_back_drops_nothing() -> None:
    log = Log()
    for number in range(300):
        log.write(NOON_MS + number * MINUTE_MS)
    for number in range(5):
        log.write(NOON_MS + 10**12 + number * MINUTE_MS)
    for number in range(300, 600):
        log.write(NOON_MS + number * MINUTE_MS)
    log.check()
    assert sum(map(len, log.minutes.values())) == 605
    newest = [key for key in log.minutes if key.tier == 0]
    assert all(key.begin_ms < NOON_MS + 10**12 for key in newest), "slots of the future never become old"


def test_a_minute_that_is_in_a_slot_already_goes_into_it() -> None:
    log = Log()
    for number in range(200):
        log.write(NOON_MS + number * MINUTE_MS)
    old = place(log.minutes, NOON_MS + 3 * MINUTE_MS)
    assert old.tier > 0 and old.covers(NOON_MS + 3 * MINUTE_MS)
    assert place(log.minutes, NOON_MS + 1000 * MINUTE_MS).tier == 0


def test_without_room_the_coarsest_and_first_written_go_first() -> None:
    keys = [SlotKey(9, 0, 1), SlotKey(5, 1, 7), SlotKey(1, 1, 8), SlotKey(7, 2, 20)]
    assert [key.written for key in oldest_first(keys)] == [20, 7, 8, 1]


def test_joined_rates_are_means_over_the_known_time_and_amounts_are_the_last_known() -> None:
    joined = join(
        [slot({b"": 10, b"m": NAN}, 60_000), slot({b"": 40, b"m": 5}, 30_000), slot({b"": NAN, b"m": NAN})], len(RATES)
    )
    assert shown(joined) == {b"": 20, b"m": 5}
    assert shown(joined, len(RATES)) == {b"": 40, b"m": 5}
    assert joined.known_ms.tolist() == [90_000, 30_000]


def test_the_past_of_a_range_that_was_split_or_merged_is_divided_evenly_and_sums_stay() -> None:
    before, after = slot({b"": 30, b"x": 7}), slot({b"": 1, b"b": 2, b"d": 9})
    joined = join([before, after], len(RATES))
    assert shown(joined) == {b"": (10 + 1) / 2, b"b": (10 + 2) / 2, b"d": (10 + 4.5) / 2, b"x": (7 + 4.5) / 2}
    assert joined.values[0].sum() == (37 + 12) / 2


def test_what_is_unknown_in_all_slots_stays_unknown() -> None:
    joined = join([slot({b"": NAN, b"m": 1}), slot({b"": NAN, b"m": 3})], len(RATES))
    assert shown(joined) == {b"": None, b"m": 2}


@given(
    st.lists(
        st.lists(st.tuples(st.floats(0, 1e6, width=32), st.booleans()), min_size=1, max_size=5), min_size=2, max_size=6
    )
)
@settings(deadline=None)
def test_joining_in_steps_gives_the_same_as_joining_at_once(minutes: list[list[tuple[float, bool]]]) -> None:
    keys = [b"", b"c", b"f", b"k", b"p"]
    slots = [
        slot({keys[place]: value if known else NAN for place, (value, known) in enumerate(each)}) for each in minutes
    ]
    at_once = join(slots, len(RATES))
    steps = join([join(slots[:2], len(RATES)), *slots[2:]], len(RATES))
    assert steps.starts == at_once.starts
    # a range that one step divides may be divided again by a later one, into uneven parts: only sums are the same
    if len({len(each) for each in minutes}) == 1:
        np.testing.assert_allclose(steps.values, at_once.values, rtol=1e-5)
        np.testing.assert_array_equal(steps.known_ms, at_once.known_ms)


def test_a_slice_that_lies_in_two_minutes_counts_for_both() -> None:
    minutes = OpenMinutes()
    assert minutes.add(a_slice(NOON_MS, NOON_MS + 45_000, 8)) == []
    (first,) = minutes.add(a_slice(NOON_MS + 45_000, NOON_MS + 90_000, 4))
    assert first.begin_ms == NOON_MS
    assert shown(first.slot) == {b"": 7}
    assert first.slot.known_ms.tolist() == [60_000]
    (second,) = minutes.close()
    assert (second.begin_ms, shown(second.slot), second.slot.known_ms.tolist()) == (
        NOON_MS + MINUTE_MS,
        {b"": 4},
        [30_000],
    )
    assert minutes.close() == []


def test_a_minute_is_over_as_soon_as_a_slice_ends_with_it() -> None:
    assert [each.begin_ms for each in OpenMinutes().add(a_slice(NOON_MS, NOON_MS + MINUTE_MS))] == [NOON_MS]


@pytest.mark.parametrize("begin_ms", [NOON_MS - LONGEST_MS - 1, NOON_MS + 1, NOON_MS])
def test_a_slice_over_which_the_clock_jumped_counts_for_the_minute_before_its_end(begin_ms: int) -> None:
    (minute,) = OpenMinutes().add(a_slice(begin_ms, NOON_MS))
    assert (minute.begin_ms, minute.slot.known_ms.tolist()) == (NOON_MS - MINUTE_MS, [MINUTE_MS])


def test_a_clock_that_goes_back_closes_the_minute_that_was_open() -> None:
    minutes = OpenMinutes()
    minutes.add(a_slice(NOON_MS, NOON_MS + 10_000))
    closed = minutes.add(a_slice(NOON_MS - HOUR_MS, NOON_MS - HOUR_MS + 10_000))
    assert [each.begin_ms for each in closed] == [NOON_MS]
