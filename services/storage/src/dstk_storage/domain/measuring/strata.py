"""What samples say about a whole: estimates and their errors. Pure.

The whole is cut into strata. Each has one cell, a stretch of it that was read whole, chosen at random in proportion to its
size on disk. So the estimate of a stratum is what the cell has, times the ratio of the sizes. That is right on average,
whatever the sizes mean: blocks of several levels, garbage, compression (Hansen and Hurwitz). How far off it may be shows in
how much neighbours differ (the successive difference estimator of stratified sampling).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import NamedTuple

from dstk_storage.domain.measuring.contents import Amount, Chunk
from dstk_storage.domain.measuring.sizes import Stretch

DEVIATIONS = 3.0
"""Standard deviations of a sum that the true number is within, in 99 of 100 cases: 2.6 if it were normal."""

SKEW = 100
"""How many times larger the largest records of a range may be than the smallest."""

SMALLEST_BYTES = 12
"""What a record takes on disk at least, in a block that compresses well."""

UNSEEN = 0.25
"""The part of a stratum that may have the smallest records and no cell in them."""


class Cell(NamedTuple):
    """A stretch that was read, and what it has."""

    stretch: Stretch
    amount: Amount


@dataclass(frozen=True, slots=True)
class Stratum:
    """A stretch and what it has by its cell; or by `chunks`, when it was read whole."""

    stretch: Stretch
    amount: Amount
    cell: Cell | None = None
    chunks: Sequence[Chunk] = ()

    @property
    def is_exact(self) -> bool:
        """Whether it was read whole."""
        return self.cell is None


def estimated(stretch: Stretch, cell: Cell) -> Stratum:
    """A stratum by one of its cells."""
    factor = stretch.size / cell.stretch.size
    return Stratum(stretch, Amount(cell.amount.records * factor, cell.amount.bytes * factor), cell)


def summed(strata: Sequence[Stratum]) -> Amount:
    """What all have together."""
    return Amount(sum(each.amount.records for each in strata), sum(each.amount.bytes for each in strata))


class Variance(NamedTuple):
    """Of an Amount."""

    records: float
    bytes: float


def variances(strata: Sequence[Stratum]) -> list[Variance]:
    """Of the estimate of each stratum."""
    return [_variance(strata, at) for at in range(len(strata))]


def error(strata: Sequence[Stratum]) -> Amount:
    """By how much the sum of all differs from the true one at most, in 99 of 100 cases."""
    each = variances(strata)
    records, size = sum(one.records for one in each), sum(one.bytes for one in each)
    widest = max((one.stretch.size for one in strata if not one.is_exact), default=0)
    unseen = UNSEEN * widest / smallest_record(strata)
    return Amount(DEVIATIONS * sqrt(records) + unseen, DEVIATIONS * sqrt(size))


def smallest_record(strata: Sequence[Stratum]) -> float:
    """Bytes on disk of the smallest records that there may be, and that cells may have missed; they may compress."""
    largest = max((one.amount.bytes / one.amount.records for one in strata if one.amount.records), default=0.0)
    return max(SMALLEST_BYTES, largest / SKEW / 2)


def _variance(strata: Sequence[Stratum], at: int) -> Variance:
    one = strata[at]
    if one.is_exact:
        return Variance(0.0, 0.0)
    near = [strata[other] for other in (at - 1, at + 1) if 0 <= other < len(strata) and strata[other].stretch.size]
    if not near:
        return Variance(one.amount.records**2, one.amount.bytes**2)
    both = [_difference(one, other) for other in near]
    return Variance(sum(each.records for each in both) / len(both), sum(each.bytes for each in both) / len(both))


def _difference(one: Stratum, other: Stratum) -> Variance:
    """The squared difference; half of it, if both are estimates: each has its share in it."""
    part = 1.0 if other.is_exact else 0.5
    ratio = one.stretch.size / other.stretch.size
    records, size = one.amount.records - other.amount.records * ratio, one.amount.bytes - other.amount.bytes * ratio
    return Variance(records * records * part, size * size * part)
