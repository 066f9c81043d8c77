"""Which strata to look at more closely. Pure.

Strata are cut for three reasons. One is too large, by its own size on disk or by what its neighbourhood has. It differs
from its neighbours by more than noise: there is a border between unlike records in it. The sum is uncertain: then all are
cut. Never because of what its own cell has, if that may be noise: the strata whose cells have much would be cut, those
whose cells have little would remain, and the sum would be too small.
"""

from collections.abc import Iterator, Sequence
from itertools import accumulate

from dstk_storage.domain.measuring.contents import Amount
from dstk_storage.domain.measuring.strata import Stratum, error, smallest_record, summed, variances

FEWEST_STRATA = 192
"""No stratum has more than one of so many parts of the size on disk."""

FULL = 0.08
"""No stratum has room for more than such a part of the records, if it were full of the smallest."""

MOST_STRATA = 1_500
MOST_RECORDS, MOST_BYTES = 100_000, 48 << 20
"""How much is read for a smaller error. Smaller buckets are cut beyond that."""

PRECISE = 0.04
"""No more is read when the error is such a part of the sum."""

BORDER = 0.004
"""A stratum whose standard deviation is such a part of the sum differs by more than noise: by nearly all that it has, or
more.
"""

FINEST = 0.5
"""A stratum has at most such a part of a bucket."""

NEAR = 2
"""Strata on each side that are a neighbourhood."""


def to_cut(strata: Sequence[Stratum], buckets: int, read: Amount) -> list[int]:
    """The strata to cut, by position; none: it is enough. `read`: what was read so far."""
    found = [at for at, is_due in enumerate(_are_large(strata, buckets)) if is_due and not strata[at].is_exact]
    is_enough = len(strata) >= MOST_STRATA or read.records >= MOST_RECORDS or read.bytes >= MOST_BYTES
    return found if found or is_enough else _at_borders(strata) or _uncertain(strata)


def _are_large(strata: Sequence[Stratum], buckets: int) -> Iterator[bool]:
    """Whether each is too large."""
    disk, sums = sum(one.stretch.size for one in strata) or 1, summed(strata)
    room = max(FULL * sums.records * smallest_record(strata), disk / MOST_STRATA)
    widest = min(disk / FEWEST_STRATA, room)
    most, most_together = 2 / FEWEST_STRATA, 2 * FINEST / buckets
    for one, (size, records, content) in zip(strata, _neighbourhoods(strata), strict=True):
        part = one.stretch.size / (size or 1)
        of_records, of_bytes = records / (sums.records or 1) * part, content / (sums.bytes or 1) * part
        too_much = max(of_records, of_bytes) > most or of_records + of_bytes > most_together
        yield too_much or one.stretch.size > widest


def _neighbourhoods(strata: Sequence[Stratum]) -> Iterator[tuple[float, ...]]:
    """Size, records and bytes of each stratum and those near it, together."""
    columns = zip(*((one.stretch.size, *one.amount) for one in strata), strict=True)
    below = [[0.0, *accumulate(column)] for column in columns]
    for at in range(len(strata)):
        low, high = max(0, at - NEAR), min(len(strata), at + NEAR + 1)
        yield tuple(sums[high] - sums[low] for sums in below)


def _at_borders(strata: Sequence[Stratum]) -> list[int]:
    sums = summed(strata)
    records, size = (sums.records * BORDER) ** 2, (sums.bytes * BORDER) ** 2
    return [at for at, one in enumerate(variances(strata)) if one.records > records or one.bytes > size]


def _uncertain(strata: Sequence[Stratum]) -> list[int]:
    off, sums = error(strata), summed(strata)
    if off.records <= sums.records * PRECISE and off.bytes <= sums.bytes * PRECISE:
        return []
    return [at for at, one in enumerate(strata) if not one.is_exact]
