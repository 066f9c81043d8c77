"""Neighbouring ranges are merged until they are few enough, so that hot ones remain apart.

Figures of a merged range are sums, so a long range of cold partitions can look as hot as a hot one. Rows are therefore cut so
that the hottest *merged* row is as cool as possible: whatever is hotter is a range of its own, next to rows of about the
same heat. Key Visualizer's `Divide` has the same aim. Merging the two most similar neighbours again and again was rejected: it
merges thousands of equally cold ranges into one bright row.
"""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from dstk_metrics.domain.history.slots import Indices, Slot, merge_ranges
from dstk_metrics.domain.slices import Values

Heat = NDArray[np.float64]

ROOM = 0.75
"""The part of the ranges that a new cut uses. The rest is for ranges that become hot later, so that the cut can remain."""

_HALVINGS = 14


def heat(values: Values) -> Heat:
    """How hot each range is: its largest share of a figure's total, and at least its share of the number of ranges.

    Because of the latter, cold parts of the key space are cut as well, evenly, and keep their place in the picture.
    """
    known = np.clip(np.nan_to_num(values), 0, None).astype(np.float64)
    totals = known.sum(axis=1, keepdims=True)
    shares = known / np.where(totals > 0, totals, 1)
    hottest: Heat = np.maximum(shares.max(axis=0), 1 / values.shape[1])
    return hottest


def cut(heats: Heat, most: int) -> Indices:
    """Returns the indices at which rows begin, ascending from 0: at most `most` rows, their limit as low as possible."""
    if len(heats) <= most:
        return np.arange(len(heats))
    sums = _sums(heats)
    return np.array(_walk(sums, 0, len(heats), _limit(sums, most)))


def coarsen(slot: Slot, most: int, previous: Sequence[bytes] = ()) -> Slot:
    """Merges ranges until there are at most `most`. `previous`: the borders of the slot before, which are kept as far as they
    exist and no merged range between them is too hot: slots with the same borders take less space, and their figures are
    not divided when they are drawn.
    """
    if len(slot.starts) <= most:
        return slot
    heats = heat(slot.values)
    sums, target = _sums(heats), max(1, int(most * ROOM))
    limit = _limit(sums, target)
    firsts = _repaired(slot.starts, previous, sums, limit)
    if len(firsts) > most:
        firsts = _walk(sums, 0, len(heats), limit)
    return merge_ranges(slot, np.array(firsts))


def _repaired(starts: Sequence[bytes], previous: Sequence[bytes], sums: list[float], limit: float) -> list[int]:
    """Begins rows at the previous borders, and cuts those rows that have become too hot."""
    index = {start: place for place, start in enumerate(starts)}
    begins = [0, *(index[start] for start in previous if index.get(start)), len(starts)]
    firsts: list[int] = []
    for begin, end in pairwise(begins):
        too_hot = end - begin > 1 and sums[end] - sums[begin] > 2 * limit
        firsts += _walk(sums, begin, end, limit) if too_hot else [begin]
    return firsts


def _sums(heats: Heat) -> list[float]:
    """Of the heat below each range: a list, since bisecting it is faster than asking NumPy for one place at a time."""
    return [0.0, *np.cumsum(heats).tolist()]


def _limit(sums: list[float], most: int) -> float:
    """Returns about the smallest limit with which there are at most `most` rows.

    Any two neighbouring rows are together hotter than the limit, so twice the mean is always enough.
    """
    low, high = 0.0, 2 * sums[-1] / most
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if len(_walk(sums, 0, len(sums) - 1, middle, most)) > most:
            low = middle
        else:
            high = middle
    return high


def _walk(sums: list[float], begin: int, end: int, limit: float, most: int | None = None) -> list[int]:
    """Returns where rows begin when each takes as many ranges as the limit allows, at least one. Stops after `most`."""
    firsts: list[int] = []
    while begin < end and (most is None or len(firsts) <= most):
        firsts.append(begin)
        begin = max(begin + 1, bisect_right(sums, sums[begin] + limit, begin, end + 1) - 1)
    return firsts
