"""Callers that ask the same share one drawing, and nobody gets an old one."""

import asyncio
from collections.abc import Callable

import pytest
from kit.histories import NOON_MS, History
from typing_extensions import override

from dstk_metrics.adapters.history_memory import MemoryHistoryStore
from dstk_metrics.application.history_reader import HistoryReader, InFuture, Wanted
from dstk_metrics.application.shared_drawings import MAX_SHARED, SharedDrawings
from dstk_metrics.domain.figures import Figure
from dstk_metrics.domain.history.tiers import MINUTE_MS
from dstk_metrics.ports import Offload, T

WANTED = Wanted(Figure.READS, b"", b"", NOON_MS, 0, 10, 10)


class Counting(Offload):
    """Counts the calls, each of which takes a turn of the event loop."""

    def __init__(self) -> None:
        self.calls = 0

    @override
    async def __call__(self, call: Callable[[], T], /) -> T:
        self.calls += 1
        await asyncio.sleep(0)
        return call()


class Shared:
    def __init__(self) -> None:
        store = MemoryHistoryStore()
        self.history = History(store)
        self.history.add(1, 2, 3)
        self.offload = Counting()
        counters = self.history.counters
        self.drawings = SharedDrawings(HistoryReader(store, self.history.recorder, counters), counters, self.offload)

    async def draw(self, wanted: Wanted = WANTED) -> list[float]:
        drawing = await self.drawings.draw(wanted, self.history.now_ms)
        row: list[float] = drawing.matrix.values[0].tolist()
        return row


async def test_a_thousand_callers_share_a_drawing_until_the_next_minute_is_written() -> None:
    shared = Shared()
    assert await asyncio.gather(*(shared.draw() for _ in range(1000))) == [[1]] * 1000
    assert await shared.draw() == [1]
    assert shared.offload.calls == 1
    shared.history.add(4, 5, 6)
    assert await shared.draw() == [1, 4]
    assert shared.offload.calls == 2


async def test_what_differs_is_drawn_for_each_and_few_drawings_are_kept() -> None:
    shared = Shared()
    for number in range(2 * MAX_SHARED):
        await shared.draw(Wanted(Figure.READS, b"", b"", NOON_MS, 0, 10, number + 1))
    assert shared.offload.calls == 2 * MAX_SHARED
    await shared.draw(Wanted(Figure.READS, b"", b"", NOON_MS, 0, 10, 2 * MAX_SHARED))
    assert shared.offload.calls == 2 * MAX_SHARED
    await shared.draw(Wanted(Figure.READS, b"", b"", NOON_MS, 0, 10, 1))
    assert shared.offload.calls == 2 * MAX_SHARED + 1


async def test_a_caller_that_gives_up_ends_nobody_elses_drawing() -> None:
    shared = Shared()
    first, second = asyncio.create_task(shared.draw()), asyncio.create_task(shared.draw())
    await asyncio.sleep(0)
    first.cancel()
    assert await second == [1]
    assert first.cancelled()


async def test_a_failure_is_not_kept() -> None:
    shared = Shared()
    future = Wanted(Figure.READS, b"", b"", NOON_MS + 10 * MINUTE_MS, 0, 10, 10)
    for _ in range(2):
        with pytest.raises(InFuture):
            await shared.draw(future)
    assert shared.offload.calls == 2
