"""Cuts buckets into pieces of about the same size. Pure.

The pieces cover the buckets without gap or overlap. Borders of pieces are borders of buckets, so buckets have to be small
beside a piece: `coarse` says which are not. Unless pieces may cross partitions, each border between partitions is one between
pieces.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from dstk_metrics.domain.buckets import Bucket, Run, Unit, amount, below, ends_before

FINE = 4
"""A bucket is at most one of so many parts of a piece."""

FINER = 8
"""So many buckets for each piece are asked for, since a node's buckets have up to twice their part."""

LARGEST = 1.5
"""What has at most so many times the size of a piece is one."""

MOST_BUCKETS = 4_096


@dataclass(frozen=True, slots=True)
class Size:
    """Pieces of about `amount` records or bytes."""

    unit: Unit
    amount: float


def stretches(buckets: Sequence[Bucket], borders: Sequence[bytes]) -> Iterator[Sequence[Bucket]]:
    """The buckets between two borders each; borders are ascending starts of buckets."""
    starts = [bucket.start for bucket in buckets]
    cuts = sorted({0, len(buckets), *(bisect_left(starts, border) for border in borders)})
    return (buckets[low:high] for low, high in pairwise(cuts))


def coarse(buckets: Sequence[Bucket], borders: Sequence[bytes], size: Size) -> list[Run]:
    """What to measure more finely, neighbours together. Buckets do not lie across borders."""
    runs: list[Run] = []
    for stretch in stretches(buckets, borders):
        if amount(stretch, size.unit) > LARGEST * size.amount:
            runs += _runs(stretch, size)
    return runs


def _runs(stretch: Sequence[Bucket], size: Size) -> Iterator[Run]:
    run: list[Bucket] = []
    for bucket in stretch:
        is_coarse = not bucket.is_final and bucket.amounts[size.unit] * FINE > size.amount
        if run and (not is_coarse or _wanted([*run, bucket], size) > MOST_BUCKETS):
            yield _run(run, size)
            run = []
        if is_coarse:
            run.append(bucket)
    if run:
        yield _run(run, size)


def _run(buckets: Sequence[Bucket], size: Size) -> Run:
    return Run(buckets[0].start, buckets[-1].end, min(_wanted(buckets, size), MOST_BUCKETS))


def _wanted(run: Sequence[Bucket], size: Size) -> int:
    return max(2, round(FINER * amount(run, size.unit) / size.amount))


def across(buckets: Sequence[Bucket], borders: Sequence[bytes]) -> list[tuple[Bucket, bytes]]:
    """The buckets that lie across a border, each with the first such border."""
    found = []
    for bucket in buckets:
        at = bisect_left(borders, bucket.start + b"\0")
        if at < len(borders) and ends_before(borders[at], bucket.end):
            found.append((bucket, borders[at]))
    return found


def pieces(buckets: Sequence[Bucket], borders: Sequence[bytes], size: Size) -> list[Bucket]:
    """The pieces, in order of keys. `borders`: where one has to end, ascending starts of buckets."""
    return [piece for stretch in stretches(buckets, borders) for piece in _cut(stretch, size)]


def _cut(stretch: Sequence[Bucket], size: Size) -> Iterator[Bucket]:
    """Pieces that are about equally large, as many as come nearest to the size."""
    sums = below(stretch, size.unit)
    count = max(1, round(sums[-1] / size.amount))
    cuts = [0]
    for number in range(1, count):
        target = sums[-1] * number / count
        at = bisect_left(sums, target)
        at = at - 1 if at and target - sums[at - 1] < sums[at] - target else at
        if cuts[-1] < at < len(stretch):
            cuts.append(at)
    for low, high in pairwise([*cuts, len(stretch)]):
        part = stretch[low:high]
        yield Bucket(part[0].start, part[-1].end, (amount(part, Unit.RECORDS), amount(part, Unit.BYTES)))


def fewest(buckets: Sequence[Bucket], borders: Sequence[bytes], size: Size) -> int:
    """How many pieces there are going to be, about."""
    return sum(max(1, round(amount(part, size.unit) / size.amount)) for part in stretches(buckets, borders))
