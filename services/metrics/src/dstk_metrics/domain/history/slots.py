"""A slot of the history: the figures of all ranges in a span of time."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dstk_metrics.domain.figures import RATES
from dstk_metrics.domain.slices import Slice, Values

Milliseconds = NDArray[np.uint32]
Indices = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Slot:
    """The key space cut into ranges, and figures of each range.

    `starts`: as in Slice. `values`: float32, a row for each figure, rates first; a column for each range. NaN: not known.
    `known_ms`: for how long the rates of each range are known; rates are means over that time, amounts are the last known.
    """

    starts: Sequence[bytes]
    values: Values
    known_ms: Milliseconds


def of_slice(given: Slice, covered_ms: int) -> Slot:
    """Returns the slot that has the figures of a slice, known for `covered_ms`."""
    values = np.asarray(given.values, np.float32)
    known = ~np.isnan(values[: len(RATES)]).all(axis=0)
    return Slot(given.starts, values, np.where(known, np.uint32(covered_ms), np.uint32(0)))


def merge_ranges(slot: Slot, firsts: Indices) -> Slot:
    """Merges neighbouring ranges: each new range begins with the range at one of the indices `firsts`, ascending from 0."""
    starts = [slot.starts[first] for first in firsts.tolist()]
    return Slot(starts, sum_ranges(slot.values, firsts), np.maximum.reduceat(slot.known_ms, firsts))


def sum_ranges(values: Values, firsts: Indices) -> Values:
    """Returns the sums of the known values of each new range, and NaN where none of them is known.

    A sum with a gap is too small, but a NaN would hide the known part: with one node silent, most wide ranges have a gap.
    """
    missing = np.isnan(values)
    sums: NDArray[np.float64] = np.add.reduceat(np.where(missing, 0, values), firsts, axis=1, dtype=np.float64)
    sums[np.logical_and.reduceat(missing, firsts, axis=1)] = np.nan
    return sums.astype(np.float32)
