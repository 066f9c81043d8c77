"""Writes the history: slices become minutes, minutes become slots, and full tiers become coarser ones."""

import logging
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass

from dstk_metrics.domain.figures import RATES
from dstk_metrics.domain.history.coarsen import coarsen
from dstk_metrics.domain.history.join import join
from dstk_metrics.domain.history.minutes import Minute, OpenMinutes
from dstk_metrics.domain.history.slots import Slot
from dstk_metrics.domain.history.tiers import TIERS, Merge, SlotKey, next_merge, place
from dstk_metrics.domain.slices import Slice
from dstk_metrics.ports import HistoryLost, HistoryStore, HistoryUnavailable
from dstk_service.logs.fields import LogFields

log = logging.getLogger(__name__)

MAX_RANGES = 4_096
"""Of a slot. The disk would allow for more (docs/design.md), but twice as many take a matrix twice as long to draw."""

MAX_KEY_BYTES = 1 << 20
"""Of the starts of a slot's ranges: with keys of more than 256 bytes there are fewer ranges."""

MAX_WAITING = 60
"""Minutes that wait in memory for room on the disk; then the oldest is given up."""


@dataclass(slots=True)
class HistoryCounters:
    """What the history does, counted since the start of the service, and how it stands."""

    minutes_written: int = 0
    write_failures: int = 0
    """Attempts to write that failed: one a minute while they do."""
    minutes_lost: int = 0
    """Given up since they could not be written for too long."""
    files_moved_aside: int = 0
    slots_damaged: int = 0
    minutes_waiting: int = 0
    """In memory, until they can be written."""
    bytes_on_disk: int = 0
    """After the last minute was written."""
    oldest_ms: int = 0
    """When the oldest slot begins, Unix ms; 0: there is none."""
    newest_ms: int = 0
    """When the newest slot ends, Unix ms; 0: there is none."""
    slots: Sequence[int] = (0,) * len(TIERS)
    """How many there are, by tier."""


class Recorder:
    """Takes slices, and keeps the store's tiers. Blocks: use it in the store's thread."""

    def __init__(self, store: HistoryStore, counters: HistoryCounters) -> None:
        self._store, self._counters = store, counters
        self._open = OpenMinutes()
        self._waiting: deque[Minute] = deque()
        self._previous: Sequence[bytes] = ()
        self._is_failing = False

    @property
    def waiting(self) -> Sequence[Minute]:
        """Minutes that could not be written yet, in order of arrival."""
        return tuple(self._waiting)

    def add(self, given: Slice) -> None:
        """Takes a slice, and writes the minutes that are over."""
        self._take(self._open.add(given))

    def close(self) -> None:
        """Writes the minute in progress as well."""
        self._take(self._open.close())

    def _take(self, minutes: Sequence[Minute]) -> None:
        for begin_ms, slot in minutes:
            kept = _coarse(slot, self._previous)
            self._previous = kept.starts
            self._waiting.append(Minute(begin_ms, kept))
        try:
            self._write_waiting()
        except HistoryLost:
            self._counters.files_moved_aside += 1
            self._write_waiting_again()
        except HistoryUnavailable as error:
            self._fail(error)
        self._counters.minutes_waiting = len(self._waiting)

    def _write_waiting_again(self) -> None:
        """Writes to the new file that has begun."""
        try:
            self._write_waiting()
        except (HistoryLost, HistoryUnavailable) as error:
            self._counters.files_moved_aside += isinstance(error, HistoryLost)
            self._fail(error)

    def _write_waiting(self) -> None:
        while self._waiting:
            self._write(self._waiting[0])
            self._waiting.popleft()
            self._counters.minutes_written += 1
        if self._is_failing:
            self._is_failing = False
            log.info("the history is written again")

    def _fail(self, error: Exception) -> None:
        self._counters.write_failures += 1
        while len(self._waiting) > MAX_WAITING:
            self._waiting.popleft()
            self._counters.minutes_lost += 1
        if not self._is_failing:
            self._is_failing = True
            extra = LogFields(error=str(error), limit=MAX_WAITING)
            log.warning("the history cannot be written: up to %d minutes wait in memory", MAX_WAITING, extra=extra)

    def _write(self, minute: Minute) -> None:
        keys = set(self._store.stored())
        changes = _Changes(self._store, self._counters)
        key = place(keys, minute.begin_ms)
        earlier = changes.take([key]) if key in keys else []
        changes.put[key] = _joined([*earlier, minute.slot])
        keys.add(key)
        while merge := next_merge(keys):
            changes.merge(merge, keys)
        self._store.write(changes.put, changes.removed)
        self.note_stored()

    def note_stored(self) -> None:
        """Counts what is stored."""
        stored, counters = list(self._store.stored()), self._counters
        tiers = Counter(key.tier for key in stored)
        counters.slots = tuple(tiers[number] for number in range(len(TIERS)))
        counters.bytes_on_disk = self._store.size_bytes()
        counters.oldest_ms = min((key.begin_ms for key in stored), default=0)
        counters.newest_ms = max((key.end_ms for key in stored), default=0)


class _Changes:
    """What one minute changes in the store."""

    def __init__(self, store: HistoryStore, counters: HistoryCounters) -> None:
        self._store, self._counters = store, counters
        self.put: dict[SlotKey, Slot] = {}
        self.removed: set[SlotKey] = set()

    def take(self, sources: Sequence[SlotKey]) -> list[Slot]:
        """Takes slots out of what is stored and of what is to be. Those that are damaged are missing."""
        stored = [key for key in sources if key not in self.put]
        found = {**self._store.read(stored), **{key: self.put.pop(key) for key in sources if key in self.put}}
        self._counters.slots_damaged += len(sources) - len(found)
        self.removed.update(stored)
        return [found[key] for key in sources if key in found]

    def merge(self, merge: Merge, keys: set[SlotKey]) -> None:
        """Carries out a merge, in `keys` as well."""
        keys.difference_update(merge.sources)
        if merge.target is None:
            self.removed.update(merge.sources)
            return
        slots = self.take(merge.sources)
        if slots:
            keys.add(merge.target)
            self.put[merge.target] = _joined(slots)


def _joined(slots: Sequence[Slot]) -> Slot:
    return _coarse(join(slots, len(RATES)), slots[-1].starts)


def _coarse(slot: Slot, previous: Sequence[bytes]) -> Slot:
    key_bytes = sum(map(len, slot.starts))
    most = min(MAX_RANGES, len(slot.starts) * MAX_KEY_BYTES // max(key_bytes, 1))
    return coarsen(slot, max(most, 1), previous)
