"""Checksums over ranges of a replica, by which replicas are compared without sending what they hold.

A checksum comes with the position that the replica stood at, read from the same snapshot: a batch and its position reach the
disk in one write, so the checksum is of exactly the writes up to there.

Measured: 150 MB/s of records of 150 bytes and 390 MB/s of records of 1 kB, so that 2 MiB a second take 1.4% or 0.5% of a core.
"""

import hashlib
from collections.abc import Iterable, Iterator

from dstk_keytypes import KeyRange, PartitionId
from dstk_storage.domain import layout
from dstk_storage.domain.history import START, Position
from dstk_storage.domain.replication.ports import Digest
from dstk_storage.ports import Engine, Snapshot

DIGEST_BYTES = 16

STRETCH_RECORDS = 500
STRETCH_BYTES = 1 << 20
"""Of what is compared at once: little enough that writes can wait while a stretch that differs is looked at again."""

Pairs = Iterable[tuple[bytes, bytes]]


def digest(engine: Engine, partition: PartitionId, key_range: KeyRange) -> Digest | None:
    """Of the records of the range as they are stored, expired ones included; None: the replica needs a snapshot. Blocks; raises
    EngineError.
    """
    with engine.snapshot() as snapshot:
        position = _position(snapshot, partition)
        if position is None:
            return None
        with snapshot.iterate(*layout.data_bounds(key_range)) as pairs:
            return _digest(pairs, position)


def stretch(engine: Engine, key_range: KeyRange) -> KeyRange:
    """The beginning of the range that is compared at once. Blocks; raises EngineError."""
    records = size = 0
    with engine.iterate(*layout.data_bounds(key_range), fill_cache=False) as pairs:
        for key, record in pairs:
            if records >= STRETCH_RECORDS or size >= STRETCH_BYTES:
                return KeyRange(key_range.start, key[1:])
            records, size = records + 1, size + len(key) + len(record)
    return key_range


def _position(snapshot: Snapshot, partition: PartitionId) -> Position | None:
    if snapshot.get(layout.snapshot_key(partition)) is not None:
        return None
    raw = snapshot.get(layout.position_key(partition))
    return START if raw is None else Position(*layout.decode_position(raw))


def _digest(pairs: Iterator[tuple[bytes, bytes]], position: Position) -> Digest:
    total, records, size = hashlib.blake2b(digest_size=DIGEST_BYTES), 0, 0
    for key, record in pairs:
        total.update(b"%d %d " % (len(key), len(record)))
        total.update(key)
        total.update(record)
        records, size = records + 1, size + len(key) + len(record)
    return Digest(total.digest(), records, size, position)
