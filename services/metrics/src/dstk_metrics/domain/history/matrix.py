"""A figure over key space and time."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dstk_metrics.domain.history.borders import Borders, Spread
from dstk_metrics.domain.history.coarsen import cut, heat
from dstk_metrics.domain.history.join import join_spread
from dstk_metrics.domain.history.slots import Slot, sum_ranges
from dstk_metrics.domain.slices import Values


@dataclass(frozen=True, slots=True, eq=False)
class Matrix:
    """`starts`: where the range of each row starts. `values`: float32, a row for each range, a column for each time; NaN: not
    known.
    """

    starts: Sequence[bytes]
    values: Values


@dataclass(frozen=True, slots=True)
class Picture:
    """What is asked for: the range, its end b"" for none; the most rows; whether the figure is a rate."""

    start: bytes
    end: bytes
    max_rows: int
    is_rate: bool


def draw(columns: Sequence[Sequence[Slot]], picture: Picture) -> Matrix:
    """Draws columns, each with its slots in order of time; the slots have one figure each.

    A row is the sum of its parts. Rows are cut by the largest value that each part has in any column, so that what was hot for
    one column only is not averaged away.
    """
    clip = _Clip(picture.start, picture.end)
    clipped = [[clip(slot) for slot in slots] for slots in columns]
    borders = Borders([[picture.start], *(slot.starts for slots in clipped for slot in slots)])
    peaks = np.zeros((1, len(borders.starts)), np.float32)
    for slots in filter(None, clipped):
        np.fmax(peaks, _column(slots, borders, picture), out=peaks)
    firsts = cut(heat(peaks), picture.max_rows)
    values = np.full((len(columns), len(firsts)), np.nan, np.float32)
    for number, slots in enumerate(clipped):
        if slots:
            values[number] = sum_ranges(_column(slots, borders, picture), firsts)[0]
    return Matrix([borders.starts[first] for first in firsts.tolist()], values.T)


def _column(slots: Sequence[Slot], borders: Borders, picture: Picture) -> Values:
    spreads: list[Spread] = [borders.spread(slot) for slot in slots]
    return join_spread(spreads, 1 if picture.is_rate else 0).values


class _Clip:
    """Leaves of a slot what lies in a range. A stored range that the range cuts is divided evenly, as in Borders."""

    def __init__(self, start: bytes, end: bytes) -> None:
        self._start, self._end = start, end
        self._seen: dict[int, _Window] = {}

    def __call__(self, slot: Slot) -> Slot:
        window = self._seen.get(id(slot.starts))
        if window is None:
            window = self._seen[id(slot.starts)] = self._window(slot.starts)
        values = slot.values[:, window.begin : window.end]
        if window.parts is not None:
            values = values / window.parts
        return Slot(window.starts, values, slot.known_ms[window.begin : window.end])

    def _window(self, axis: Sequence[bytes]) -> "_Window":
        begin = bisect_right(axis, self._start) - 1
        end = bisect_left(axis, self._end) if self._end else len(axis)
        if begin == 0 and end == len(axis) and axis[0] == self._start and not self._end:
            return _Window(axis, axis, 0, end, None)
        end = max(end, begin + 1)
        parts = np.ones(end - begin, np.float32)
        parts[0] += axis[begin] < self._start
        parts[-1] += bool(self._end) and (end == len(axis) or axis[end] > self._end)
        return _Window(axis, [self._start, *axis[begin + 1 : end]], begin, end, parts)


@dataclass(frozen=True, slots=True, eq=False)
class _Window:
    """Which ranges of an axis lie in a range, where they start there, and into how many parts each is cut."""

    axis: Sequence[bytes]
    starts: Sequence[bytes]
    begin: int
    end: int
    parts: NDArray[np.float32] | None
