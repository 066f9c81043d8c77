"""How many bytes records take on disk, roughly."""

from bisect import bisect_left
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from dstk_storage.ports import Engine

STEP = 100


class Stretch(NamedTuple):
    """Engine keys from `start` to `end`, exclusive, that take `size` bytes on disk, roughly."""

    start: bytes
    end: bytes
    size: int


class Sizes:
    """The engine's approximate sizes without its overheads. These are a few parts of a hundred, but at few places: most
    cells of a sample are beside them, and would promise too much for the whole.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._keys: list[bytes] = []
        self._below = [0]
        """Sums of the overheads in front of each key, and of all."""

    def learn(self, start: bytes, end: bytes) -> Iterator[None]:
        """Finds the overheads of a stretch. Blocks at each step; raises EngineError."""
        found = self.engine.overheads(start, end)
        while some := list(islice(found, STEP)):
            for key, size in some:
                self._keys.append(key)
                self._below.append(self._below[-1] + size)
            yield

    def between(self, start: bytes, end: bytes) -> int:
        """Bytes of the records of a stretch. Blocks."""
        low, high = bisect_left(self._keys, start), bisect_left(self._keys, end)
        return max(0, self.engine.approximate_size(start, end) - self._below[high] + self._below[low])

    def sized(self, start: bytes, end: bytes) -> Stretch:
        """A stretch with its size. Blocks."""
        return Stretch(start, end, self.between(start, end))
