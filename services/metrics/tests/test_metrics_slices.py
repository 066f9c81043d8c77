"""Slices for the history: their figures and their spans."""

import asyncio
import math
from itertools import pairwise

import pytest
from kit.map_entries import partition_info
from kit.reports import Row, divided, map_of, report

from dstk_keytypes import NodeId
from dstk_metrics.application.slicing import Slicer, until_next
from dstk_metrics.domain.book import Book
from dstk_metrics.domain.figures import HISTORY, Figure
from dstk_metrics.domain.report import Counter, State
from dstk_metrics.domain.slices import Slice
from dstk_metrics.domain.slicing import Spans, take_slice
from dstk_metrics.ports import Slices
from dstk_service.testing import ManualClock

ONE, TWO = NodeId("storage-1"), NodeId("storage-2")
MINUTE = 60_000


def row(partition: int, reads: float, records: int = 0, **others: object) -> Row:
    state = {State.RECORDS: records, State.COUNTED: int(records > 0)}
    return Row(partition, counters={Counter.READS: reads}, state=state, **others)


def value(made: Slice, figure: Figure, position: int = 0) -> float:
    return float(made.values[HISTORY.index(figure), position])


def test_rates_are_means_over_the_slice_and_amounts_are_as_of_its_end() -> None:
    book = Book()
    book.follow(map_of(divided([], ["storage-1"])))
    for at, reads, records in ((0, 0, 5), (10, 100, 6), (20, 100, 7), (30, 500, 9)):
        book.take(ONE, report([row(1, reads, records)], at, complete=not at), at)
    made = take_slice(book, (1, 2), 30, 30)
    assert value(made, Figure.READS) == pytest.approx(500 / 30)
    assert value(made, Figure.RECORDS) == 9
    book.take(ONE, report([row(1, 600, 9)], 40), 40)
    assert value(take_slice(book, (2, 3), 40, 30), Figure.READS) == 10


def test_what_is_not_known_is_nan() -> None:
    book = Book()
    book.follow(map_of(divided([b"m"], ["storage-1", "storage-2"])))
    for at in (0, 10):
        book.take(ONE, report([row(1, at, end=b"m")], at, complete=not at), at)
        book.take(TWO, report([row(2, at, 3, start=b"m")], at, complete=not at), at)
    take_slice(book, (1, 2), 10, 30)
    for at in (20, 30, 40, 50):
        book.take(ONE, report([], at), at)
    made = take_slice(book, (2, 3), 50, 30)
    assert made.starts == (b"", b"m")
    assert value(made, Figure.READS) == 0
    assert math.isnan(value(made, Figure.RECORDS))  # not counted
    assert math.isnan(value(made, Figure.READS, 1))  # silent
    assert math.isnan(value(made, Figure.RECORDS, 1))


def test_a_split_within_the_slice_counts_nothing_twice() -> None:
    book = Book()
    book.follow(map_of([partition_info(1)]))
    for at in (0, 30):
        book.take(ONE, report([row(1, at * 10)], at, complete=not at), at)
    book.follow(map_of([partition_info(1, end=b"m", epoch=2), partition_info(2, start=b"m", epoch=2)], 2))
    for at in (31, 60):
        halves = [row(1, at * 5, end=b"m", epoch=2), row(2, at * 5, start=b"m", epoch=2)]
        book.take(ONE, report(halves, at), at)
    made = take_slice(book, (1, 2), 60, 30)
    assert value(made, Figure.READS) + value(made, Figure.READS, 1) == pytest.approx(10)


def test_what_a_primary_did_before_it_changed_is_in_the_slice() -> None:
    book = Book()
    book.follow(map_of([partition_info(1)]))
    for at in (0, 30):
        book.take(ONE, report([row(1, at * 10)], at, complete=not at), at)
    book.follow(map_of([partition_info(1, ["storage-2"], epoch=2)], 2))
    book.take(TWO, report([row(1, 7, epoch=2)], 31, complete=True), 31)
    assert value(take_slice(book, (1, 2), 60, 30), Figure.READS) == pytest.approx(10)


def test_a_partition_that_changes_its_primary_faster_than_reports_come_is_unknown_rather_than_idle() -> None:
    book = Book()
    book.follow(map_of([partition_info(1)]))
    for at in (0, 10):
        book.take(ONE, report([row(1, 0)], at, complete=not at), at)
    take_slice(book, (1, 2), 10, 30)
    for turn, at in enumerate(range(11, 60, 2)):
        node = (TWO, ONE)[turn % 2]
        book.follow(map_of([partition_info(1, [str(node)], epoch=turn + 2)], turn + 2))
        book.take(node, report([row(1, at * 10, epoch=turn + 2)], at, session=f"{node}-{turn}", complete=True), at)
    assert math.isnan(value(take_slice(book, (2, 3), 60, 30), Figure.READS))


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        ([(MINUTE, 60)], [(0, MINUTE)]),
        ([(MINUTE + 400, 60)], [(0, MINUTE + 400)]),  # drift
        ([(9 * MINUTE, 60)], [(8 * MINUTE, 9 * MINUTE)]),  # set forward: nothing is known of the time between
        ([(MINUTE, 60), (MINUTE + 30_000, 120)], [(0, MINUTE), (MINUTE, MINUTE + 30_000)]),  # set back by 30 s
        ([(MINUTE, 60), (MINUTE // 2, 120), (MINUTE * 3 // 2, 180)], [(0, MINUTE), None, (MINUTE, MINUTE * 3 // 2)]),
        (
            [(99 * MINUTE, 60), (2 * MINUTE, 120)],
            [(98 * MINUTE, 99 * MINUTE), (MINUTE, 2 * MINUTE)],
        ),  # was wrong before
    ],
)
def test_spans_are_true_whatever_the_wall_clock_does(
    ends: list[tuple[int, float]], expected: list[tuple[int, int] | None]
) -> None:
    spans = Spans(0, 0)
    assert [spans.next(wall_ms, monotonic) for wall_ms, monotonic in ends] == expected


def test_slices_end_with_the_minutes() -> None:
    assert until_next(0) == MINUTE
    assert until_next(20_000) == 40_000
    assert until_next(59_000) == 61_000


class KeptSlices(Slices):
    def __init__(self) -> None:
        self.slices: list[Slice] = []

    async def keep(self, made: Slice) -> None:
        self.slices.append(made)


async def test_a_slice_is_kept_each_minute_and_at_the_end() -> None:
    clock, kept, book = ManualClock(), KeptSlices(), Book()
    slicer = Slicer(book, kept, clock, 30)
    book.follow(map_of([partition_info(1)]))
    running: list[asyncio.Task[None]] = []

    def background(loop: object) -> asyncio.Task[None]:
        running.append(asyncio.create_task(loop))
        return running[-1]

    await slicer.start(background)
    await clock.advance(150)
    await slicer.drain()
    running[0].cancel()
    assert len(kept.slices) == 3
    spans = [(made.begin_ms, made.end_ms) for made in kept.slices]
    assert all(before[1] == after[0] for before, after in pairwise(spans))
    assert spans[-1][1] - spans[0][0] == 150_000
