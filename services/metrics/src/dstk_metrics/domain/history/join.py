"""Slots of neighbouring times become one."""

from collections.abc import Sequence

import numpy as np

from dstk_metrics.domain.history.borders import Borders, Spread
from dstk_metrics.domain.history.slots import Slot


def join(slots: Sequence[Slot], rates: int) -> Slot:
    """Joins slots, at least one, in order of time. `rates`: how many of the rows, the first ones, are rates.

    Rates become means over the time for which they are known, amounts the last known ones.
    """
    if len(slots) == 1:
        return slots[0]
    borders = Borders(slot.starts for slot in slots)
    joined = join_spread([borders.spread(slot) for slot in slots], rates)
    return Slot(borders.starts, joined.values, joined.known_ms)


def join_spread(spreads: Sequence[Spread], rates: int) -> Spread:
    """As `join`, for figures over the same parts."""
    if len(spreads) == 1:
        return spreads[0]
    total = np.zeros(spreads[0].values[:rates].shape)
    weight = np.zeros_like(total)
    amounts = spreads[0].values[rates:].copy()
    for values, known_ms in spreads:
        known = ~np.isnan(values[:rates])
        weights = np.where(known, known_ms, 0)
        total += np.where(known, values[:rates], 0) * weights
        weight += weights
        np.copyto(amounts, values[rates:], where=~np.isnan(values[rates:]))
    means = np.divide(total, weight, out=np.full_like(total, np.nan), where=weight > 0)
    known_ms = np.sum([spread.known_ms for spread in spreads], axis=0, dtype=np.uint32)
    return Spread(np.concatenate([means.astype(np.float32), amounts]), known_ms)
