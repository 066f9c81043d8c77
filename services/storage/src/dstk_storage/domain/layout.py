"""How everything is laid out in the engine. Written to disk: every change needs a new format version.

The first byte of an engine key is its keyspace:

    0x01  node metadata         b"engine": identity of the engine; b"orphaned_ranges": ranges that are still to be deleted;
                                b"emptied": those that are still to be compacted; b"garbage": bytes that removed records
                                still take, by partition
    0x02  partition metadata    id (8 bytes) + b"r" range and epoch | b"p" position | b"h" history | b"c" snapshot under way:
                                empty until it begins, then its number (8 bytes) | b"v" the last
                                comparison of its replicas that this node has made
    0x03  expiry index          expiry time in Unix ms (8 bytes) + key, empty value
    0x04  data                  key; value: record header + value

Record header, big-endian: version (1 byte), flags (1), etag (8), write time in Unix ms (8), and with FLAG_EXPIRES the
expiry time in Unix ms (8). Keys lie raw in global order, so that split and merge move nothing.

In a batch a removal is a header as well, with FLAG_REMOVAL; the expiry time is that of the index entry that goes with it.
"""

import json
import struct
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from dstk_keytypes import KeyRange, PartitionId
from dstk_storage.domain.history import Term

PARTITIONS = b"\x02"
EXPIRY = b"\x03"
DATA = b"\x04"
DATA_END = b"\x05"

RECORD_VERSION = 1
FLAG_EXPIRES = 1
FLAG_REMOVAL = 2
FLAG_INDEX_ONLY = 4
"""With FLAG_REMOVAL: the record was rewritten and stays; only its old index entry is removed."""

_HEADER = struct.Struct(">BBQQ")
_HEADER_EXPIRES = struct.Struct(">BBQQQ")
_U64 = struct.Struct(">Q")

HEADER_BYTES = _HEADER.size
HEADER_EXPIRES_BYTES = _HEADER_EXPIRES.size
unpack_header = _HEADER.unpack_from
"""(version, flags, etag, written_at_ms) of an encoded record."""
_pack = _HEADER.pack
_pack_expires = _HEADER_EXPIRES.pack
_unpack_u64 = _U64.unpack_from


class Stored(NamedTuple):
    """A record as it lies on disk, without its key."""

    value: bytes
    etag: int
    written_at_ms: int
    expires_at_ms: int


def encode_record(value: bytes, etag: int, written_at_ms: int, expires_at_ms: int) -> bytes:
    """Header and value; `expires_at_ms` 0: never."""
    if expires_at_ms:
        return _pack_expires(RECORD_VERSION, FLAG_EXPIRES, etag, written_at_ms, expires_at_ms) + value
    return _pack(RECORD_VERSION, 0, etag, written_at_ms) + value


def encode_removal(etag: int, written_at_ms: int, expires_at_ms: int, *, index_only: bool = False) -> bytes:
    """A removal; `expires_at_ms` 0: the record has no index entry."""
    flags = FLAG_REMOVAL | (FLAG_INDEX_ONLY if index_only else 0)
    if expires_at_ms:
        return _pack_expires(RECORD_VERSION, flags | FLAG_EXPIRES, etag, written_at_ms, expires_at_ms)
    return _pack(RECORD_VERSION, flags, etag, written_at_ms)


def decode_record(raw: bytes) -> Stored:
    """The reverse of `encode_record`."""
    _, flags, etag, written_at_ms = unpack_header(raw)
    if flags:
        return Stored(raw[HEADER_EXPIRES_BYTES:], etag, written_at_ms, expires_at(raw))
    return Stored(raw[HEADER_BYTES:], etag, written_at_ms, 0)


def expires_at(raw: bytes) -> int:
    """Expiry time in Unix ms of an encoded record that has FLAG_EXPIRES."""
    return int(_unpack_u64(raw, HEADER_BYTES)[0])


def expiry_key(expires_at_ms: int, key: bytes) -> bytes:
    """Engine key of the expiry index entry."""
    return EXPIRY + _U64.pack(expires_at_ms) + key


def decode_expiry_key(engine_key: bytes) -> tuple[int, bytes]:
    """(expires_at_ms, key) of an expiry index entry."""
    return int(_unpack_u64(engine_key, 1)[0]), engine_key[9:]


def data_bounds(key_range: KeyRange) -> tuple[bytes, bytes]:
    """Engine keys that enclose the records of a key range: start inclusive, end exclusive."""
    return DATA + key_range.start, DATA_END if key_range.end is None else DATA + key_range.end


def range_key(partition: PartitionId) -> bytes:
    """Engine key of a partition's range and epoch."""
    return PARTITIONS + _U64.pack(partition) + b"r"


def position_key(partition: PartitionId) -> bytes:
    """Engine key of the epoch and the sequence number of a partition's last write."""
    return PARTITIONS + _U64.pack(partition) + b"p"


def history_key(partition: PartitionId) -> bytes:
    """Engine key of the terms of a partition's history."""
    return PARTITIONS + _U64.pack(partition) + b"h"


def snapshot_key(partition: PartitionId) -> bytes:
    """Engine key that is there while the replica needs a snapshot, or one is being installed."""
    return PARTITIONS + _U64.pack(partition) + b"c"


def compared_key(partition: PartitionId) -> bytes:
    """Engine key of the last comparison of a partition's replicas."""
    return PARTITIONS + _U64.pack(partition) + b"v"


ENGINE = b"\x01engine"
"""Engine key of the engine's identity (identity.py)."""


ORPHANED_RANGES = b"\x01orphaned_ranges"
"""Engine key of the ranges that are still to be deleted, since the node holds them no more."""


EMPTIED = b"\x01emptied"
"""Engine key of the ranges that were deleted and not compacted yet; written as ORPHANED_RANGES."""


GARBAGE = b"\x01garbage"
"""Engine key of how much removed records still take."""


def encode_garbage(index: int, partitions: Mapping[PartitionId, int]) -> bytes:
    """JSON: bytes of the expiry index, and of each partition."""
    return json.dumps({"index": index, "partitions": partitions}).encode()


def decode_garbage(raw: bytes) -> tuple[int, dict[PartitionId, int]]:
    """The reverse of `encode_garbage`."""
    fields = json.loads(raw)
    return int(fields["index"]), {PartitionId(int(number)): int(size) for number, size in fields["partitions"].items()}


def encode_ranges(ranges: Iterable[KeyRange]) -> bytes:
    """JSON: pairs of start and end in hex; null: up to the last key."""
    return json.dumps([[part.start.hex(), None if part.end is None else part.end.hex()] for part in ranges]).encode()


def decode_ranges(raw: bytes) -> list[KeyRange]:
    """The reverse of `encode_ranges`."""
    return [
        KeyRange(bytes.fromhex(low), None if high is None else bytes.fromhex(high)) for low, high in json.loads(raw)
    ]


def encode_attempt(number: int | None) -> bytes:
    """Eight bytes; None: no snapshot has begun yet."""
    return b"" if number is None else _U64.pack(number)


def decode_attempt(raw: bytes) -> int | None:
    """The reverse of `encode_attempt`."""
    return int(_unpack_u64(raw)[0]) if raw else None


def partition_keys(partition: PartitionId) -> list[bytes]:
    """Engine keys of everything that is written about a partition."""
    keys = (range_key, position_key, history_key, snapshot_key, compared_key)
    return [key(partition) for key in keys]


def encode_position(epoch: int, sequence: int) -> bytes:
    """Sixteen bytes."""
    return _U64.pack(epoch) + _U64.pack(sequence)


def decode_position(raw: bytes) -> tuple[int, int]:
    """The reverse of `encode_position`."""
    return int(_unpack_u64(raw)[0]), int(_unpack_u64(raw, 8)[0])


def encode_history(terms: Iterable[Term]) -> bytes:
    """JSON: pairs of epoch and first sequence number."""
    return json.dumps([list(term) for term in terms]).encode()


def decode_history(raw: bytes) -> tuple[Term, ...]:
    """The reverse of `encode_history`."""
    return tuple(Term(int(epoch), int(first)) for epoch, first in json.loads(raw))


def encode_range(key_range: KeyRange, epoch: int) -> bytes:
    """JSON, so that people can read a data directory."""
    end = None if key_range.end is None else key_range.end.hex()
    return json.dumps({"start": key_range.start.hex(), "end": end, "epoch": epoch}).encode()


def decode_range(raw: bytes) -> tuple[KeyRange, int]:
    """(range, epoch)."""
    fields = json.loads(raw)
    end = None if fields["end"] is None else bytes.fromhex(fields["end"])
    return KeyRange(bytes.fromhex(fields["start"]), end), int(fields["epoch"])


def decode_partition_key(engine_key: bytes) -> tuple[PartitionId, bytes]:
    """(partition, kind) of a partition metadata key; kind is the last byte."""
    return PartitionId(int(_unpack_u64(engine_key, 1)[0])), engine_key[9:]
