"""What lies where: buckets of a range in order of keys, and what they have together. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import accumulate
from math import sqrt
from typing import NamedTuple

Range = tuple[bytes, bytes]
"""Start and end; an end of b"" is the end of the key space."""


class Unit(IntEnum):
    """What pieces are measured in: the position in Bucket.amounts."""

    RECORDS = 0
    BYTES = 1


class Bucket(NamedTuple):
    """A range and what it has. Ends as in Range. `is_final`: no node can say more exactly where its contents lie."""

    start: bytes
    end: bytes
    amounts: tuple[float, float]
    """Live records, and bytes of their keys and values."""
    is_final: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """What a node says of a range: buckets without gap or overlap, and by how much the sums of records and of bytes may be
    wrong, in 99 of 100 cases.
    """

    buckets: Sequence[Bucket]
    errors: tuple[float, float]

    @property
    def range(self) -> Range:
        """The range that was measured."""
        return self.buckets[0].start, self.buckets[-1].end


class Estimate(NamedTuple):
    """An amount, at least and at most how large it is, in 99 of 100 cases."""

    value: float
    low: float
    high: float


def amount(buckets: Iterable[Bucket], unit: Unit) -> float:
    """The sum of all."""
    return sum(bucket.amounts[unit] for bucket in buckets)


def summed(tables: Sequence[Table], unit: Unit) -> Estimate:
    """The sum of tables of different partitions. They are counted, and samples of them are drawn, independently of each other:
    their errors add in quadrature.
    """
    value = sum(amount(table.buckets, unit) for table in tables)
    error = sqrt(sum(table.errors[unit] ** 2 for table in tables))
    return Estimate(value, max(0.0, value - error), value + error)


def ends_before(one: bytes, other: bytes) -> bool:
    """Whether the end `one` is below the end `other`."""
    return bool(one) and (not other or one < other)


class Run(NamedTuple):
    """A range that is to be measured in so many buckets."""

    start: bytes
    end: bytes
    buckets: int


def halved(bucket: Bucket, at: bytes) -> tuple[Bucket, Bucket]:
    """The bucket as two, which have half of it each: no more is known."""
    records, size = bucket.amounts
    half = (records / 2, size / 2)
    return Bucket(bucket.start, at, half), Bucket(at, bucket.end, half)


def replaced(buckets: Sequence[Bucket], tables: Sequence[Table]) -> list[Bucket]:
    """The buckets, with those of the tables in the place of the ones that lie in their ranges. Tables are in order of keys."""
    finer = [bucket for table in tables for bucket in table.buckets]
    spans = [table.range for table in tables]
    kept, at = [], 0
    for bucket in buckets:
        while at < len(spans) and spans[at][1] and bucket.start >= spans[at][1]:
            at += 1
        if at == len(spans) or bucket.start < spans[at][0]:
            kept.append(bucket)
    return sorted([*kept, *finer], key=lambda bucket: bucket.start)


def below(buckets: Iterable[Bucket], unit: Unit) -> list[float]:
    """What lies in front of each bucket, and of the end."""
    return [0.0, *accumulate(bucket.amounts[unit] for bucket in buckets)]
