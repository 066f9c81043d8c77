"""What the book makes of reports: rates, ages, whose word counts."""

import math
from collections.abc import Iterable

import pytest
from kit.map_entries import partition_info
from kit.reports import Row, divided, map_of, report

from dstk_cluster.model import PartitionInfo
from dstk_keytypes import NodeId
from dstk_metrics.domain.book import Book, ages
from dstk_metrics.domain.report import Counter, State

ONE, TWO = NodeId("storage-1"), NodeId("storage-2")


def book_of(partitions: Iterable[PartitionInfo]) -> Book:
    book = Book()
    book.follow(map_of(partitions))
    return book


def reads(partition: int, count: float, **others: object) -> Row:
    return Row(partition, counters={Counter.READS: count}, **others)


def rate_of(book: Book, partition: int) -> float:
    slot = book.layout.slot_of[partition]
    return book.columns.rates[slot, Counter.READS] if book.columns.rated[slot] else math.nan


def age_of(book: Book, partition: int, now: float) -> float:
    return ages(book.columns, book.layout.order, now)[list(book.layout.order).index(book.layout.slot_of[partition])]


def test_a_rate_is_the_difference_of_two_reports_over_the_time_between_them() -> None:
    book = book_of(divided([], ["storage-1"]))
    book.take(ONE, report([reads(1, 1000)], 50, complete=True), 7)
    assert math.isnan(rate_of(book, 1))
    assert age_of(book, 1, 7) == math.inf
    book.take(ONE, report([reads(1, 1500)], 60), 17)
    assert rate_of(book, 1) == 50
    assert age_of(book, 1, 20) == 3


def test_what_a_report_does_not_repeat_is_unchanged_and_confirmed() -> None:
    book = book_of(divided([b"m"], ["storage-1"]))
    rows = [reads(1, 10, end=b"m"), reads(2, 10, start=b"m")]
    book.take(ONE, report(rows, 50, complete=True), 0)
    book.take(ONE, report([reads(1, 30, end=b"m"), reads(2, 110, start=b"m")], 60), 10)
    book.take(ONE, report([reads(1, 40, end=b"m")], 70), 20)
    assert (rate_of(book, 1), rate_of(book, 2)) == (1, 0)
    assert age_of(book, 2, 20) == 0


def test_a_silent_node_leaves_its_figures_which_grow_old() -> None:
    book = book_of(divided([b"m"], ["storage-1", "storage-2"]))
    for now, count in ((0, 0), (10, 100)):
        book.take(ONE, report([reads(1, count, end=b"m")], now, complete=not now), now)
        book.take(TWO, report([reads(2, count, start=b"m")], now, complete=not now), now)
    book.take(ONE, report([reads(1, 200, end=b"m")], 20), 20)
    assert (rate_of(book, 2), age_of(book, 2, 25)) == (10, 15)
    assert (rate_of(book, 1), age_of(book, 1, 25)) == (10, 5)


def test_a_restarted_node_begins_again() -> None:
    book = book_of(divided([], ["storage-1"]))
    book.take(ONE, report([reads(1, 1000)], 500, complete=True), 0)
    book.take(ONE, report([reads(1, 1100)], 510), 10)
    taken = book.take(ONE, report([reads(1, 5)], 1, complete=True, session="t"), 20)
    assert not taken.refused
    assert rate_of(book, 1) == 10  # the last one that is known
    book.take(ONE, report([reads(1, 25)], 11), 30)
    assert rate_of(book, 1) == 10  # an update of the ended session is refused
    book.take(ONE, report([reads(1, 25)], 11, session="t"), 30)
    assert rate_of(book, 1) == 2


def test_the_primary_of_the_map_has_the_word() -> None:
    book = book_of([partition_info(1, ["storage-1", "storage-2"])])
    book.take(ONE, report([reads(1, 0)], 0, complete=True), 0)
    taken = book.take(TWO, report([reads(1, 9999)], 0, complete=True), 0)
    assert taken.refused == {"another primary or range than the map has at the same epoch": 1}
    book.take(ONE, report([reads(1, 10)], 10), 10)
    book.take(TWO, report([reads(1, 9_999_999)], 10), 10)
    assert rate_of(book, 1) == 1


def test_a_row_that_is_ahead_of_the_map_waits_for_it() -> None:
    book = book_of([partition_info(1, ["storage-1", "storage-2"])])
    book.take(ONE, report([reads(1, 0)], 0, complete=True), 0)
    taken = book.take(TWO, report([reads(1, 77, epoch=2)], 0, complete=True), 0)
    assert (taken.early, taken.refused) == (1, {})
    book.follow(map_of([partition_info(1, ["storage-2", "storage-1"], epoch=2)], 2))
    book.take(TWO, report([], 10), 10)
    assert rate_of(book, 1) == 0
    book.take(TWO, report([reads(1, 97, epoch=2)], 20), 20)
    assert rate_of(book, 1) == 2


def test_a_split_begins_both_halves_and_a_merge_begins_the_whole() -> None:
    book = book_of(divided([], ["storage-1"]))
    book.take(ONE, report([reads(1, 0)], 0, complete=True), 0)
    book.take(ONE, report([reads(1, 100)], 10), 10)
    lower, upper = partition_info(1, end=b"m", epoch=2), partition_info(2, start=b"m", epoch=2)
    book.follow(map_of([lower, upper], 2))
    halves = [reads(1, 50, end=b"m", epoch=2), reads(2, 5000, start=b"m", epoch=2)]
    assert not book.take(ONE, report(halves, 11), 11).refused
    assert rate_of(book, 1) == 10
    assert math.isnan(rate_of(book, 2))
    halves = [reads(1, 150, end=b"m", epoch=2), reads(2, 5300, start=b"m", epoch=2)]
    book.take(ONE, report(halves, 21), 21)
    assert (rate_of(book, 1), rate_of(book, 2)) == (10, 30)
    book.follow(map_of([partition_info(1, epoch=3)], 3))
    book.take(ONE, report([reads(1, 5450, epoch=3)], 22, removed=[2]), 22)
    assert rate_of(book, 1) == 10
    book.take(ONE, report([reads(1, 5850, epoch=3)], 32), 32)
    assert rate_of(book, 1) == 40


def test_counters_that_fall_are_refused_and_begin_again() -> None:
    book = book_of(divided([], ["storage-1"]))
    book.take(ONE, report([reads(1, 100)], 0, complete=True), 0)
    assert book.take(ONE, report([reads(1, 90)], 10), 10).refused == {"counters that fell": 1}
    assert math.isnan(rate_of(book, 1))
    book.take(ONE, report([reads(1, 100)], 20), 20)
    assert rate_of(book, 1) == 1


def test_a_report_that_follows_at_once_is_added_to_the_next_window() -> None:
    book = book_of(divided([], ["storage-1"]))
    book.take(ONE, report([reads(1, 0)], 0, complete=True), 0)
    book.take(ONE, report([reads(1, 3)], 0.01), 0.01)
    assert math.isnan(rate_of(book, 1))
    book.take(ONE, report([], 1), 1)
    assert rate_of(book, 1) == 3


def test_nodes_that_leave_the_map_are_forgotten() -> None:
    book = book_of(divided([b"m"], ["storage-1", "storage-2"]))
    book.take(TWO, report([reads(2, 1, start=b"m")], 0, complete=True), 0)
    book.follow(map_of(divided([b"m"], ["storage-1"], epoch=2), 2))
    assert TWO not in book.tellers
    assert book.nodes == {ONE}


@pytest.mark.parametrize("moved", [b"a", b"z"])
def test_slots_follow_the_map(moved: bytes) -> None:
    book = book_of(divided([b"b", b"m", b"y"], ["storage-1", "storage-2"]))
    kept = dict(book.layout.slot_of)
    book.follow(map_of(divided(sorted([b"b", b"m", b"y", moved]), ["storage-1"], epoch=2), 2))
    assert {each: book.layout.slot_of[each] for each in kept} == kept
    assert [book.layout.infos[slot].id for slot in book.layout.order] == [1, 2, 3, 4, 5]
    assert sorted(book.layout.led_by("storage-1")) == sorted(book.layout.slot_of.values())
    assert len(book.layout.led_by("storage-2")) == 0
    assert book.layout.replicas.total() == 5


def test_percentiles_are_of_the_last_window() -> None:
    book = book_of(divided([], ["storage-1"]))
    slow = Row(1, counters={Counter.READS: 640}, reads=[0, 0, 10])
    fast = Row(1, counters={Counter.READS: 1280}, reads=[10, 0, 10], state={State.RECORDS: 4})
    book.take(ONE, report([slow], 0, complete=True), 0)
    book.take(ONE, report([fast], 10), 10)
    assert book.columns.percentiles[0, :2].tolist() == [pytest.approx(0.0005), pytest.approx(0.00099)]
    book.take(ONE, report([], 20), 20)
    assert book.columns.percentiles[0, :2].tolist() == [0, 0]
