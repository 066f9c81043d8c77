"""A history in memory: the twin of history_sqlite for tests and simulations."""

from collections.abc import Collection, Mapping

from typing_extensions import override

from dstk_metrics.domain.figures import HISTORY, Figure
from dstk_metrics.domain.history.slots import Slot
from dstk_metrics.domain.history.tiers import SlotKey, oldest_first
from dstk_metrics.ports import HistoryStore, HistoryUnavailable


class MemoryHistoryStore(HistoryStore):
    """Slots in a dictionary. While `is_full`, nothing can be written."""

    def __init__(self, limit_bytes: int = 2 << 30) -> None:
        self._limit_bytes = limit_bytes
        self._slots: dict[SlotKey, Slot] = {}
        self.is_full = False

    @override
    def open(self) -> None:
        pass

    @override
    def stored(self) -> Collection[SlotKey]:
        return list(self._slots)

    @override
    def read(self, keys: Collection[SlotKey]) -> Mapping[SlotKey, Slot]:
        return {key: self._slots[key] for key in keys if key in self._slots}

    @override
    def read_figure(self, keys: Collection[SlotKey], figure: Figure) -> Mapping[SlotKey, Slot]:
        row = HISTORY.index(figure)
        return {
            key: Slot(slot.starts, slot.values[row : row + 1], slot.known_ms) for key, slot in self.read(keys).items()
        }

    @override
    def write(self, put: Mapping[SlotKey, Slot], removed: Collection[SlotKey]) -> None:
        if self.is_full:
            raise HistoryUnavailable("no space left")
        gone = {key.written for key in (*removed, *put)}
        kept = {key: slot for key, slot in self._slots.items() if key.written not in gone}
        room = self._limit_bytes - sum(map(_size, put.values()))
        for key in oldest_first(kept):
            if sum(map(_size, kept.values())) <= room:
                break
            del kept[key]
        self._slots = {**kept, **put}

    @override
    def size_bytes(self) -> int:
        return sum(map(_size, self._slots.values()))

    @override
    def close(self) -> None:
        pass


def _size(slot: Slot) -> int:
    return slot.values.nbytes + slot.known_ms.nbytes + sum(map(len, slot.starts))
