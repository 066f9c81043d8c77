"""Takes a slice for the history at the end of each minute."""

import logging

from typing_extensions import override

from dstk_metrics.domain.book import Book
from dstk_metrics.domain.slicing import Spans, take_slice
from dstk_metrics.ports import Slices
from dstk_service.clock import Clock
from dstk_service.service import Background, Part

log = logging.getLogger(__name__)

SLICE_MS = 60_000
LEAST_MS = 5_000
"""A slice that would be shorter is taken with the next minute."""


class Slicer(Part):
    """Takes slices and has them kept. The last one is taken when the service stops."""

    name = "slices"

    def __init__(self, book: Book, slices: Slices, clock: Clock, stale_after_s: float) -> None:
        self._book, self._slices, self._clock, self._stale_after_s = book, slices, clock, stale_after_s
        self._spans = Spans(clock.now_ms(), clock.monotonic())

    @override
    async def start(self, background: Background) -> None:
        background(self._run())

    @override
    async def drain(self) -> None:
        await self._slice()

    async def _run(self) -> None:
        while True:
            await self._clock.sleep(until_next(self._clock.now_ms()) / 1000)
            await self._slice()

    async def _slice(self) -> None:
        now = self._clock.monotonic()
        span = self._spans.next(self._clock.now_ms(), now)
        if not len(self._book.layout):
            return
        made = take_slice(self._book, span or (0, 0), now, self._stale_after_s)
        if span:
            await self._slices.keep(made)
        else:
            log.warning("the clock was set back: what happened since is not kept, as its time has passed before")


def until_next(now_ms: int) -> int:
    """Milliseconds until the next full minute that is not too near."""
    left = SLICE_MS - now_ms % SLICE_MS
    return left if left >= LEAST_MS else left + SLICE_MS
