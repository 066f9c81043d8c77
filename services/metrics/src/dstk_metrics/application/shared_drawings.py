"""One drawing for all who ask the same: a thousand consoles show the same picture of the last hour."""

import asyncio

from dstk_metrics.application.history_reader import Drawing, HistoryReader, Wanted
from dstk_metrics.application.recorder import HistoryCounters
from dstk_metrics.domain.history.tiers import MINUTE_MS
from dstk_metrics.ports import Offload

MAX_SHARED = 8
"""Drawings in memory: one has 1 to 9 MB."""


class SharedDrawings:
    """Draws matrices in the history's thread. A drawing is shared until a minute is written, or over."""

    def __init__(self, reader: HistoryReader, counters: HistoryCounters, offload: Offload) -> None:
        self._reader, self._counters, self._offload = reader, counters, offload
        self._drawings: dict[Wanted, asyncio.Future[Drawing]] = {}
        self._as_of = (0, 0, 0)

    async def draw(self, wanted: Wanted, now_ms: int) -> Drawing:
        """Draws a matrix. Raises what HistoryReader.draw raises."""
        counters = self._counters
        as_of = (now_ms // MINUTE_MS, counters.minutes_written, counters.write_failures)
        if as_of != self._as_of:
            self._as_of, self._drawings = as_of, {}
        drawing = self._drawings.get(wanted) or self._begin(wanted, now_ms)
        try:
            # shielded: a caller that gives up does not end what others wait for
            return await asyncio.shield(drawing)
        except Exception:
            self._drawings.pop(wanted, None)
            raise

    def _begin(self, wanted: Wanted, now_ms: int) -> "asyncio.Future[Drawing]":
        if len(self._drawings) >= MAX_SHARED:
            del self._drawings[next(iter(self._drawings))]
        drawing = asyncio.ensure_future(self._offload(lambda: self._reader.draw(wanted, now_ms)))
        drawing.add_done_callback(
            lambda done: done.cancelled() or done.exception()
        )  # it may be that nobody waits any more
        self._drawings[wanted] = drawing
        return drawing
