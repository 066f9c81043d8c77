"""Partitions that a node holds, as plain values."""

from dstk_keytypes import KeyRange, PartitionId
from dstk_storage.domain.history import History
from dstk_storage.domain.log import Entry, PartitionLog
from dstk_storage.domain.partition import Part, Partition


def partition(
    number: int = 1,
    start: bytes = b"",
    end: bytes | None = None,
    *,
    epoch: int = 1,
    history: History | None = None,
    writing: int = 0,
    parts: tuple[Part, ...] = (),
) -> Partition:
    """Returns a partition whose disk has the history. `writing`: so many more writes of its epoch are on their way there."""
    log = PartitionLog(history)
    if writing:
        log.append(Entry(log.tail, epoch, log.assign(writing), [b"k"] * writing, [b""] * writing))
        log.hand(log.tail)
    return Partition(PartitionId(number), KeyRange(start, end), epoch, log, parts=parts)
