"""What blind writes do to the number of records and their bytes, by looking up one of them in SAMPLE.

A blind write does not say whether its key has a record, and a look costs as much as the write. One write in each block of
SAMPLE is looked up, at a random place, and stands for its block, so that a pattern in the writes cannot hide from the samples.

The bounds are two-sided and hold in 99 of 100 cases. The variance comes from the differences between neighbouring samples
(Wolter, Introduction to Variance Estimation, chapter 8). Added is what samples that are all alike may have missed: if 80 writes
differ from the others, no sample meets any of them once in 150 cases.
"""

from dataclasses import dataclass, replace
from math import hypot, sqrt
from typing import Final

SAMPLE: Final = 16

_DEVIATIONS: Final = 2.8
"""2.58 deviations have 99% of a normal distribution, and the variance is estimated."""

_UNSEEN_VARIANCE: Final = 1.7
_UNSEEN: Final = 2.0
"""What a bound adds for what the samples have missed. Squared samples, and samples."""


@dataclass(slots=True)
class BlindWrites:
    """Blind writes since the last count of their partition."""

    count: int = 0
    size: int = 0
    """Bytes of the keys and values that they brought."""
    next: int = 1
    """The number, from 1 on, of the write that is sampled next."""
    covered: int = 0
    """How many writes `added` and `replaced` tell of: those before the current block."""
    samples: int = 0
    replacing: int = 0
    """Samples that replaced a record."""
    added: float = 0.0
    """Records that they added."""
    replaced: float = 0.0
    """Bytes of keys and values of the records that they replaced."""
    spread: float = 0.0
    """Half the sum of the squared differences between neighbouring samples, in records."""
    spread_bytes: float = 0.0
    """The same, in bytes."""
    largest: int = 0
    """Bytes of the largest record that a sample has found."""
    _added_each: float = 0.0
    _replaced_each: float = 0.0
    """The last sample."""
    _is_sampled: bool = False
    """The current block has its sample."""
    _random: int = 1

    def sample(self, replaced: int | None) -> None:
        """Takes the newest write, which replaces a record of so many bytes; None: it adds one."""
        added, size = (1.0, 0) if replaced is None else (0.0, replaced)
        if self._is_sampled:
            self._close(SAMPLE)
        if self.samples:
            self.spread += (added - self._added_each) ** 2 / 2
            self.spread_bytes += (size - self._replaced_each) ** 2 / 2
        self._added_each, self._replaced_each, self._is_sampled = added, size, True
        self.samples += 1
        if size:
            self.replacing += 1
            self.largest = max(self.largest, size)
        self.next = self.covered + SAMPLE + self._place()

    @property
    def records(self) -> float:
        """Records that they added."""
        return self.added + (self.count - self.covered) * self._added_each

    @property
    def bytes(self) -> float:
        """By how much the bytes of all records have grown."""
        return self.size - self.replaced - (self.count - self.covered) * self._replaced_each

    @property
    def records_error(self) -> float:
        """By how much `records` may be wrong."""
        return min(self.count - self.samples, _bound(self.spread, 1.0, 1.0))

    def bytes_error(self, usual: float, deviation: float) -> float:
        """By how much `bytes` may be wrong. Of the bytes of records, `usual`: the mean, and their standard deviation."""
        most = max(self.largest, usual + 4 * deviation)
        spread = max(self.spread_bytes, self.replacing * deviation**2)
        return min((self.count - self.samples) * most, _bound(spread, hypot(usual, deviation), most))

    def copy(self) -> "BlindWrites":
        """The same writes, which `forget` may be given later. The next one begins a block."""
        self._close(self.count - self.covered)
        self._is_sampled = False
        self.next = self.count + self._place() if self.samples else self.next
        return replace(self)

    def forget(self, counted: "BlindWrites") -> None:
        """A count has found what these of the writes did."""
        for name in _SUMS:
            setattr(self, name, getattr(self, name) - getattr(counted, name))
        self.next -= counted.count

    def _close(self, writes: int) -> None:
        """So many more writes are taken to be like the last sample."""
        self.added += writes * self._added_each
        self.replaced += writes * self._replaced_each
        self.covered += writes

    def _place(self) -> int:
        """A place in a block, from 1 on."""
        self._random = (self._random * 1103515245 + 12345) & 0x7FFFFFFF
        return (self._random >> 16) % SAMPLE + 1


_SUMS = "count", "size", "covered", "samples", "replacing", "added", "replaced", "spread", "spread_bytes"


def _bound(spread: float, unit: float, most: float) -> float:
    """`unit`: what a write differs from others, usually and at most."""
    return SAMPLE * (_DEVIATIONS * sqrt(max(0.0, spread) + _UNSEEN_VARIANCE * unit**2) + _UNSEEN * most)
