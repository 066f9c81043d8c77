"""GetHistory, from slices to the message: ranges, tiers, gaps, restarts, clocks that jump."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kit.histories import NOON_MS, STARTS, History

from dstk.v1 import metrics_pb2
from dstk_metrics.adapters.history_memory import MemoryHistoryStore
from dstk_metrics.adapters.history_sqlite import SqliteHistoryStore
from dstk_metrics.application.recorder import MAX_RANGES
from dstk_metrics.domain.figures import HISTORY
from dstk_metrics.domain.history.tiers import MINUTE_MS
from dstk_metrics.domain.slices import Slice
from dstk_service.errors import InvalidArgument, NotServing

READS = metrics_pb2.FIGURE_READS
NAN = float("nan")


@pytest.fixture(params=["memory", "sqlite"])
def history(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[History]:
    if request.param == "memory":
        yield History(MemoryHistoryStore())
        return
    with SqliteHistoryStore(tmp_path, 64 << 20, lambda: NOON_MS) as store:
        yield History(store)


def test_minutes_come_back_as_a_matrix_with_what_the_map_says_of_its_rows(history: History) -> None:
    history.add(1, 2, 3)
    history.add(4, 5, NAN)
    answer = history.ask(to_ms=NOON_MS + 2 * MINUTE_MS)
    np.testing.assert_array_equal(answer.values, [[1, 4], [2, 5], [3, NAN]])
    message = answer.message
    assert list(message.row_starts) == STARTS and message.end == b""
    assert answer.minutes == [0, 1] and message.until_ms == NOON_MS + 2 * MINUTE_MS
    assert list(message.row_nodes) == ["node-0", "node-1", "node-0"]
    assert list(message.row_partitions) == [1, 2, 3]
    assert message.figure == READS


def test_a_part_of_the_keys_and_of_the_time_can_be_asked_for(history: History) -> None:
    for minute in range(10):
        history.add(minute, 10 * minute, 100 * minute)
    answer = history.ask(start=b"g", end=b"p", from_ms=NOON_MS + 3 * MINUTE_MS, to_ms=NOON_MS + 5 * MINUTE_MS)
    np.testing.assert_array_equal(answer.values, [[30, 40]])
    assert list(answer.message.row_starts) == [b"g"] and answer.message.end == b"p"
    assert answer.minutes == [3, 4]


def test_the_default_is_the_last_hour_without_the_minute_in_progress(history: History) -> None:
    for minute in range(100):
        history.add(minute, 0, 0)
    history.now_ms += 45_000
    answer = history.ask(from_ms=0)
    assert answer.minutes == list(range(40, 100))
    np.testing.assert_array_equal(answer.values[0], range(40, 100))


def test_time_without_slices_is_unknown_and_no_neighbour_is_stretched(history: History) -> None:
    history.add(1, 1, 1)
    history.now_ms += 5 * MINUTE_MS
    history.add(2, 2, 2)
    history.now_ms += 30 * MINUTE_MS
    answer = history.ask(from_ms=NOON_MS - 2 * MINUTE_MS)
    row = answer.values[0]
    assert answer.minutes == list(range(-2, 37))
    np.testing.assert_array_equal(row[:10], [NAN, NAN, 1, NAN, NAN, NAN, NAN, NAN, 2, NAN])
    assert np.isnan(row[10:]).all()


def test_a_split_a_merge_and_a_new_split_lose_nothing(history: History) -> None:
    history.add(8, starts=[b""])
    history.add(2, 6, starts=[b"", b"g"])
    history.add(1, 1, 6, starts=[b"", b"g", b"p"])
    history.add(8, starts=[b""])
    answer = history.ask()
    np.testing.assert_allclose(
        answer.values, [[8 / 3, 2, 1, 8 / 3], [8 / 3, 3, 1, 8 / 3], [8 / 3, 3, 6, 8 / 3]], rtol=1e-6
    )
    np.testing.assert_array_equal(answer.values.sum(axis=0), [8, 8, 8, 8])


def test_five_hours_go_through_the_tiers_and_sums_over_time_stay(history: History) -> None:
    for minute in range(300):
        history.add(minute, 1, 0)
    answer = history.ask(max_columns=1536)
    widths = np.diff([*answer.minutes, 300])
    assert set(widths.tolist()) == {1, 2} and (widths == 1).sum() >= 58
    np.testing.assert_allclose((answer.values * widths).sum(axis=1), [299 * 150, 300, 0])
    few = history.ask(max_columns=10)
    assert len(few.minutes) <= 10
    np.testing.assert_allclose((few.values * np.diff([*few.minutes, 300])).sum(axis=1), [299 * 150, 300, 0], rtol=1e-6)
    amounts = history.ask(figure=metrics_pb2.FIGURE_RECORDS, max_columns=10)
    assert amounts.values[0].tolist() == [minute - 1 for minute in [*few.minutes[1:], 300]]


def test_no_more_rows_than_asked_for_and_none_is_lost(history: History) -> None:
    starts = [b"", *(b"%05d" % number for number in range(1, 3000))]
    history.add(*([1.0] * 3000), starts=starts)
    for max_rows, expected in ((0, 512), (1, 1), (1536, 1536)):
        answer = history.ask(max_rows=max_rows)
        assert 0.95 * expected < len(answer.message.row_starts) <= expected
        assert answer.values.sum() == 3000


def test_more_partitions_than_a_slot_has_ranges_are_merged_and_a_hot_one_is_not(history: History) -> None:
    count = MAX_RANGES + 5_000
    starts = [b"", *(b"%06d" % number for number in range(1, count))]
    loads = [1.0] * count
    loads[7_777] = 10_000.0
    history.add(*loads, starts=starts)
    answer = history.ask(start=starts[7_777], end=starts[7_778])
    assert answer.values.tolist() == [[10_000]]
    assert history.ask().values.sum() == 10_000 + count - 1


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        ({"figure": metrics_pb2.FIGURE_LAG}, "figure"),
        ({"start": b"b", "end": b"a"}, "start"),
        ({"max_rows": 1537}, "max_rows"),
        ({"max_columns": 1537}, "max_columns"),
        ({"from_ms": NOON_MS, "to_ms": NOON_MS}, "from_ms"),
        ({"from_ms": NOON_MS + 10 * MINUTE_MS}, "from_ms"),
        ({"from_ms": 2**64 - 1}, "from_ms"),
    ],
)
def test_what_cannot_be_asked_is_refused(history: History, request_: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        history.ask(**request_)
    assert caught.value.field == field


def test_the_longest_times_are_answered(history: History) -> None:
    history.add(1, 1, 1)
    answer = history.ask(from_ms=1, to_ms=2**64 - 1)
    assert len(answer.minutes) <= 512 and answer.minutes[0] < -30 * 24 * 60
    assert np.nansum(answer.values) > 0
    assert history.ask(from_ms=1, to_ms=2, max_columns=1).values.shape[1] == 1


def test_without_a_map_the_answer_is_to_come_back(history: History) -> None:
    history.view.current = None
    with pytest.raises(NotServing):
        history.ask()


def test_a_restart_in_a_minute_merges_its_parts_by_weight(tmp_path: Path) -> None:
    def part(begin_ms: int, end_ms: int, value: float) -> Slice:
        return Slice(begin_ms, end_ms, [b""], np.full((len(HISTORY), 1), value, np.float32))

    for begin_ms, end_ms, value in ((0, 20_000, 30), (30_000, 60_000, 5)):
        with SqliteHistoryStore(tmp_path, 64 << 20, lambda: NOON_MS) as store:
            history = History(store)
            history.recorder.add(part(NOON_MS + begin_ms, NOON_MS + end_ms, value))
            history.recorder.close()
            history.now_ms += MINUTE_MS
            answer = history.ask()
    assert answer.minutes == [0]
    assert answer.values.tolist() == [[(20 * 30 + 30 * 5) / 50]]


def test_a_clock_that_jumps_back_merges_by_weight_and_one_that_jumps_ahead_deletes_nothing(history: History) -> None:
    for _ in range(5):
        history.add(10, 0, 0)
    history.now_ms = NOON_MS + 2 * MINUTE_MS
    history.add(30, 0, 0)
    history.now_ms = NOON_MS + 10**6 * MINUTE_MS
    history.add(99, 0, 0)
    history.now_ms = NOON_MS + 5 * MINUTE_MS
    history.add(7, 0, 0)
    answer = history.ask(to_ms=NOON_MS + 6 * MINUTE_MS)
    assert answer.minutes == list(range(6))
    assert answer.values[0].tolist() == [10, 10, 20, 10, 10, 7]
    ahead = history.ask(from_ms=NOON_MS + 10**6 * MINUTE_MS, to_ms=NOON_MS + 10**6 * MINUTE_MS + MINUTE_MS)
    assert ahead.values[0].tolist() == [99]


def test_the_counters_say_how_the_history_stands(history: History) -> None:
    history.add(1, 2, 3)
    history.add(1, 2, 3)
    counters = history.counters
    assert (counters.minutes_written, counters.oldest_ms) == (2, NOON_MS)
    assert counters.bytes_on_disk > 100
