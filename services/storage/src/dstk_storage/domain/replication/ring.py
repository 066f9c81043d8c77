"""The recent batches of a partition, for followers that are a little behind."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from dstk_storage.domain.history import START, Position

RING_BYTES = 16 << 20
"""Of one partition, at most."""


ALL_RINGS_BYTES = 128 << 20
"""Of all partitions of a node together, roughly."""

SMALLEST_RING_BYTES = 256 << 10


def share(rings: int) -> int:
    """Bytes that each of so many rings may keep."""
    return max(SMALLEST_RING_BYTES, min(RING_BYTES, ALL_RINGS_BYTES // max(1, rings)))


@dataclass(frozen=True, slots=True)
class Entry:
    """A batch as it goes to followers. `previous`: where a replica must stand to apply it."""

    previous: Position
    epoch: int
    first: int
    keys: Sequence[bytes]
    records: Sequence[bytes]

    @property
    def position(self) -> Position:
        """Where a replica stands that has applied it."""
        return Position(self.epoch, self.first + len(self.keys) - 1)

    def follows(self, epoch: int) -> bool:
        """Whether it lies right behind `previous`, in an epoch between that and `epoch`, its sender's."""
        return self.first == self.previous.seq + 1 and self.previous.epoch <= self.epoch <= epoch and len(self.keys) > 0

    @property
    def size(self) -> int:
        """Bytes of keys and records."""
        return sum(map(len, self.keys)) + sum(map(len, self.records))


class Ring:
    """Invariant: each entry's `previous` is the position of the one before; `tail` is that of the last one."""

    def __init__(self, tail: Position = START, limit: int = RING_BYTES) -> None:
        self._entries: deque[Entry] = deque()
        self._bytes = 0
        self._limit = limit
        self.tail = tail

    def append(self, entry: Entry) -> None:
        """Takes the next entry, and forgets the oldest ones beyond the limit."""
        assert entry.previous == self.tail, f"{entry.previous} does not follow {self.tail}"
        self._entries.append(entry)
        self._bytes += entry.size
        self.tail = entry.position
        while self._bytes > self._limit and len(self._entries) > 1:
            self._bytes -= self._entries.popleft().size

    def after(self, position: Position, room: int = RING_BYTES) -> list[Entry] | None:
        """The entries that follow a position, up to `room` bytes but at least one; None when it is not known any more."""
        if position == self.tail:
            return []
        behind = self._behind(position)
        found: list[Entry] = []
        for entry in islice(self._entries, len(self._entries) - behind, None) if behind else ():
            found.append(entry)
            room -= entry.size
            if room <= 0:
                break
        return found or None

    def _behind(self, position: Position) -> int:
        """How many of the newest entries lie behind a position; 0: it is not known. Most followers are a batch or two behind,
        so the search begins at the end: from the other one it was a tenth of a busy node's time.
        """
        for number, entry in enumerate(reversed(self._entries), start=1):
            if entry.previous == position:
                return number
            if entry.previous < position:
                return 0
        return 0

    def resize(self, limit: int) -> None:
        """Keeps so many bytes from now on."""
        self._limit = limit

    def clear(self, position: Position) -> None:
        """Forgets everything and goes on from a position."""
        self._entries.clear()
        self._bytes = 0
        self.tail = position

    def cut(self, position: Position) -> None:
        """Forgets what lies behind `position`; everything, when that is not known."""
        while self._entries and self._entries[-1].position != position:
            self._bytes -= self._entries.pop().size
        self.tail = position
