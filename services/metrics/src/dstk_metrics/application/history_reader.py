"""Draws matrices of what is stored, and of the minutes that wait to be."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from dstk_metrics.application.recorder import HistoryCounters, Recorder
from dstk_metrics.domain.figures import HISTORY, RATES, Figure
from dstk_metrics.domain.history.columns import Column, columns
from dstk_metrics.domain.history.matrix import Matrix, Picture, draw
from dstk_metrics.domain.history.slots import Slot
from dstk_metrics.domain.history.tiers import MINUTE_MS, SPAN_MS, SlotKey
from dstk_metrics.ports import HistoryLost, HistoryStore

HOUR_MS = 60 * MINUTE_MS


@dataclass(frozen=True, slots=True)
class Wanted:
    """A matrix. Times are Unix ms; `from_ms` 0: an hour before the end; `to_ms` 0: now. `end` b"": no end."""

    figure: Figure
    start: bytes
    end: bytes
    from_ms: int
    to_ms: int
    max_rows: int
    max_columns: int


@dataclass(frozen=True, slots=True, eq=False)
class Drawing:
    """A matrix, and the time of each of its columns."""

    columns: Sequence[Column]
    matrix: Matrix


class InFuture(Exception):
    """The time that was asked for begins after all that can be known. `latest_ms`: until when it can."""

    def __init__(self, latest_ms: int) -> None:
        super().__init__(latest_ms)
        self.latest_ms = latest_ms


class HistoryReader:
    """Reads the history. Blocks: use it in the store's thread."""

    def __init__(self, store: HistoryStore, recorder: Recorder, counters: HistoryCounters) -> None:
        self._store, self._recorder, self._counters = store, recorder, counters

    def draw(self, wanted: Wanted, now_ms: int) -> Drawing:
        """Draws a matrix. Raises InFuture, HistoryUnavailable, and HistoryLost when even a new file is damaged."""
        try:
            return self._draw(wanted, now_ms)
        except HistoryLost:
            self._counters.files_moved_aside += 1
            return self._draw(wanted, now_ms)

    def _draw(self, wanted: Wanted, now_ms: int) -> Drawing:
        stored = self._store.stored()
        waiting = self._waiting(stored)
        keys = [*stored, *waiting]
        from_ms, to_ms = _span(keys, wanted, now_ms)
        found = columns(keys, from_ms, to_ms, wanted.max_columns)
        slots = {**self._read([key for column in found for key in column.keys if key not in waiting], wanted.figure)}
        row = HISTORY.index(wanted.figure)
        for key, slot in waiting.items():
            slots[key] = Slot(slot.starts, slot.values[row : row + 1], slot.known_ms)
        shown = [[slots[key] for key in column.keys if key in slots] for column in found]
        picture = Picture(wanted.start, wanted.end, wanted.max_rows, wanted.figure in RATES)
        return Drawing(found, draw(shown, picture))

    def _waiting(self, stored: Collection[SlotKey]) -> Mapping[SlotKey, Slot]:
        """Minutes that wait, each with a key of its own, unless a stored slot has that time already."""
        return {
            SlotKey(begin_ms, 0, -number): slot
            for number, (begin_ms, slot) in enumerate(self._recorder.waiting, 1)
            if not any(key.covers(begin_ms) for key in stored)
        }

    def _read(self, keys: Collection[SlotKey], figure: Figure) -> Mapping[SlotKey, Slot]:
        found = self._store.read_figure(keys, figure)
        self._counters.slots_damaged += len(keys) - len(found)
        return found


def _span(keys: Collection[SlotKey], wanted: Wanted, now_ms: int) -> tuple[int, int]:
    """Returns the time to draw: without the minute in progress, and without the time before any history could be."""
    newest = max((key.end_ms for key in keys), default=0)
    latest = newest if now_ms - 2 * MINUTE_MS < newest else now_ms
    if wanted.from_ms >= max(latest, now_ms):
        raise InFuture(max(latest, now_ms))
    to_ms = min(wanted.to_ms or now_ms, latest)
    from_ms = wanted.from_ms or to_ms - HOUR_MS
    oldest = min((key.begin_ms for key in keys), default=to_ms)
    from_ms = max(from_ms, min(oldest, to_ms - SPAN_MS), 0)
    return from_ms, max(to_ms, from_ms + 1)
