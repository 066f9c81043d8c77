"""The contents of a range as a table: buckets that are about equally large. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from dstk_storage.domain.measuring.contents import Amount, Chunk
from dstk_storage.domain.measuring.strata import Stratum, error, summed


@dataclass(frozen=True, slots=True)
class Table:
    """`borders`: engine keys at which buckets after the first one start; `amounts`: of the buckets, one more."""

    borders: Sequence[bytes]
    amounts: Sequence[Amount]
    error: Amount


def tabulate(strata: Sequence[Stratum], buckets: int) -> Table:
    """At most so many buckets, each of which has about the same part of the records and of the bytes, taken together."""
    whole = summed(strata)
    borders: list[bytes] = []
    amounts: list[Amount] = []
    records, size, reached = 0.0, 0.0, 0.0
    for chunk in _chunks(strata):
        if (records or size) and _is_full(reached, _share(chunk.amount, whole), len(borders) + 1, buckets):
            borders.append(chunk.start)
            amounts.append(Amount(records, size))
            records, size = 0.0, 0.0
        records, size = records + chunk.amount.records, size + chunk.amount.bytes
        reached += _share(chunk.amount, whole)
    return Table(borders, [*amounts, Amount(records, size)], error(strata))


def _chunks(strata: Iterable[Stratum]) -> Iterator[Chunk]:
    for stratum in strata:
        if stratum.is_exact:
            yield from stratum.chunks
        else:
            yield Chunk(stratum.stretch.start, stratum.amount)


def _is_full(reached: float, following: float, bucket: int, buckets: int) -> bool:
    """Whether a bucket ends in front of a chunk: nearer to where it is to end than behind the chunk."""
    return bucket < buckets and reached + following / 2 > bucket / buckets


def _share(amount: Amount, whole: Amount) -> float:
    """0..1"""
    return (amount.records / (whole.records or 1) + amount.bytes / (whole.bytes or 1)) / 2
