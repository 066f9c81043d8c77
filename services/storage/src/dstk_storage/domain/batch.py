"""A batch: writes of one partition, in order, that are applied together; what a follower will be sent, too."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dstk_storage.domain import layout
from dstk_storage.domain.errors import StorageError
from dstk_storage.domain.log import Entry
from dstk_storage.ports import Batch as EngineBatch

if TYPE_CHECKING:
    from dstk_storage.domain.partition import Partition

Head = tuple[int, int, int]
"""(etag, expires_at_ms, bytes of key and value) of a key's newest record; etag 0: deleted."""

Outcome = StorageError | None
"""How a batch ended: None when it is on disk."""


@dataclass(slots=True, eq=False)
class Batch:
    """Invariant: `keys` and `records` have one entry a write, whose sequence numbers go from `first` on without a gap.

    `done` gives the outcome and is never an exception: nobody may be waiting. Batches that the disk takes together share it,
    for with a thousand partitions a batch is a write or two, and a future each would cost as much as all the rest.
    """

    partition: "Partition"
    first: int
    done: "asyncio.Future[Outcome]"
    keys: list[bytes] = field(default_factory=list)
    records: list[bytes] = field(default_factory=list)
    """Encoded records, or markers of removals (layout.py)."""
    heads: dict[bytes, Head] = field(default_factory=dict)
    """What the next write of a key will find."""
    bytes: int = 0
    epoch: int = 0
    """That the writes belong to; known when the batch is on its way."""
    replicated: bool = False

    @property
    def last(self) -> int:
        """Sequence number of the last write."""
        return self.first + len(self.keys) - 1


def accept(batch: Batch) -> None:
    """Appends a batch that nobody replicates to the partition's log, as given to the disk."""
    log = batch.partition.log
    log.append(Entry(log.tail, batch.epoch, batch.first, batch.keys, batch.records))
    log.hand(log.tail)


def apply(batch: Batch, target: EngineBatch) -> list[bytes]:
    """Adds the writes, and returns the keys that they remove."""
    return apply_records(batch.keys, batch.records, target)


def apply_records(keys: Sequence[bytes], records: Sequence[bytes], target: EngineBatch) -> list[bytes]:
    """Adds writes in their order: encoded records, or markers of removals. Returns the keys that are removed."""
    put, data, removed = target.put, layout.DATA, list[bytes]()
    for key, record in zip(keys, records, strict=True):
        if record[1]:
            _apply_flagged(key, record, target, removed)
        else:
            put(data + key, record)
    return removed


def _apply_flagged(key: bytes, record: bytes, target: EngineBatch, removed: list[bytes]) -> None:
    flags = record[1]
    expires_at_ms = layout.expires_at(record) if flags & layout.FLAG_EXPIRES else 0
    if not flags & layout.FLAG_REMOVAL:
        target.put(layout.DATA + key, record)
        target.put(layout.expiry_key(expires_at_ms, key), b"")
        return
    if not flags & layout.FLAG_INDEX_ONLY:
        target.delete(layout.DATA + key)
        removed.append(key)
    if expires_at_ms:
        target.delete(layout.expiry_key(expires_at_ms, key))
