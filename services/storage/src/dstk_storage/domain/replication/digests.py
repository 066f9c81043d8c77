"""Checksums over ranges of a replica, by which replicas are compared without sending what they hold."""

import hashlib
from collections.abc import Iterable
from itertools import islice

from dstk_keytypes import KeyRange
from dstk_storage.domain import layout
from dstk_storage.domain.replication.ports import Digest
from dstk_storage.ports import Engine

DIGEST_BYTES = 16


def digest(engine: Engine, key_range: KeyRange) -> Digest:
    """Of the records of the range as they are stored, expired ones included. Blocks; raises EngineError."""
    with engine.iterate(*layout.data_bounds(key_range), fill_cache=False) as pairs:
        return _digest(pairs)


def stretch(engine: Engine, key_range: KeyRange, limit: int) -> KeyRange:
    """The beginning of the range that holds up to `limit` records. Blocks; raises EngineError."""
    with engine.iterate(*layout.data_bounds(key_range), fill_cache=False) as pairs:
        following = next(islice(pairs, limit, None), None)
    return key_range if following is None else KeyRange(key_range.start, following[0][1:])


def _digest(pairs: Iterable[tuple[bytes, bytes]]) -> Digest:
    total, records = hashlib.blake2b(digest_size=DIGEST_BYTES), 0
    for key, record in pairs:
        total.update(b"%d %d " % (len(key), len(record)))
        total.update(key)
        total.update(record)
        records += 1
    return Digest(total.digest(), records)
