"""A figure over key space and time, as the metrics service gives it, ready to be drawn. Pure."""

import math
from array import array
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from dstk.v1 import metrics_pb2

GAP = 0
"""The level where nothing is known."""
LEVELS = 255
"""The highest level; the lowest one that is known is 1."""


class NoMatrix(Exception):
    """The answer cannot be drawn: it says why."""


@dataclass(frozen=True, slots=True)
class Matrix:
    """Rows are key ranges in order of keys, columns are times. NaN: nothing is known.

    Invariant: there is at least one row, one column and one value that is known; times ascend.
    """

    starts: Sequence[bytes]
    end: bytes
    times_ms: Sequence[int]
    until_ms: int
    rows: Sequence[Sequence[float]]
    peak: float

    @classmethod
    def of(cls, answer: metrics_pb2.GetHistoryResponse) -> Self:
        """Decodes an answer. Raises NoMatrix."""
        height, width = len(answer.row_starts), len(answer.column_times_ms)
        values = array("f", answer.values) if len(answer.values) == 4 * height * width else None
        edges = [*answer.column_times_ms, answer.until_ms]
        if values is None or edges != sorted(set(edges)):
            raise NoMatrix("the answer of the metrics service contradicts itself")
        known = [value for value in values if math.isfinite(value)]
        if not known:
            raise NoMatrix("nothing is known of this range at that time")
        rows = [values[at : at + width] for at in range(0, height * width, width)]
        times = list(answer.column_times_ms)
        return cls(list(answer.row_starts), answer.end, times, answer.until_ms, rows, max(known))

    def row_of_pixel(self, pixels: int) -> list[int]:
        """The row of each of so many pixels: all rows are equally high, the first one on top."""
        return [at * len(self.rows) // pixels for at in range(pixels)]

    def column_of_pixel(self, pixels: int) -> list[int]:
        """The column of each of so many pixels: columns are as wide as their times are long."""
        first, span = self.times_ms[0], self.until_ms - self.times_ms[0]
        middles = (first + (at + 0.5) * span / pixels for at in range(pixels))
        return [max(0, bisect_right(self.times_ms, middle) - 1) for middle in middles]

    def levels(self) -> list[bytes]:
        """The level of each value, row by row: GAP, or 1 for zero up to LEVELS for the peak, by the logarithm.

        Loads of partitions differ by orders of magnitude: on a linear scale all but the hottest would look idle.
        """
        scale = (LEVELS - 1) / math.log1p(self.peak) if self.peak > 0 else 0.0
        return [bytes(_level(value, scale) for value in row) for row in self.rows]

    def value_at(self, level: float) -> float:
        """The value that a level stands for; the inverse of `levels`."""
        return math.expm1((level - 1) / (LEVELS - 1) * math.log1p(max(0.0, self.peak)))


def _level(value: float, scale: float) -> int:
    return 1 + round(math.log1p(max(0.0, value)) * scale) if math.isfinite(value) else GAP
