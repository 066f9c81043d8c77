"""Cutting what one node has for another into messages that the transport takes.

An entry stays whole, since a follower that took a part of one would stand where its primary's ring knows no beginning.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from dstk_keytypes.limits import MAX_MESSAGE_BYTES
from dstk_service.logs.fields import LogFields
from dstk_storage.domain.log import Entry
from dstk_storage.domain.replication.ports import Append, Appended, PeerUnreachable, SnapshotChunk

log = logging.getLogger(__name__)

PART_BYTES = 2 << 20
"""Of one message, but for a single entry that is larger. Large enough that messages cost nothing beside their bytes; small
enough that the follower's event loop is held up for a few milliseconds at a time."""

MAX_ENTRY_BYTES = MAX_MESSAGE_BYTES - (64 << 10)
"""What fits into a message beside the rest of it. The receiver refuses more than MAX_MESSAGE_BYTES."""

_PER_RECORD = 16
"""Bytes that protobuf adds to a key and its record, at most."""

_PER_ENTRY = 64
_PER_APPEND = 2200
"""Of an append's ids and bounds, at most."""


@dataclass(frozen=True, slots=True)
class Part:
    """Some entries of the append that stands at `place` in its group."""

    place: int
    append: Append
    entries: Sequence[Entry]


def messages(appends: Sequence[Append]) -> Iterator[list[Part]]:
    """What each message of a group carries: in order, one part of a partition at most. Raises PeerUnreachable for an entry
    that fits into none.
    """
    parts: list[Part] = []
    room = PART_BYTES
    for place, append in enumerate(appends):
        for entries, size in _runs(append.entries):
            if parts and (size > room or parts[-1].place == place):
                yield parts
                parts, room = [], PART_BYTES
            parts.append(Part(place, append, entries))
            room -= size
    if parts:
        yield parts


def _runs(entries: Sequence[Entry]) -> Iterator[tuple[Sequence[Entry], int]]:
    """Cut so that each run fits into a message, with sizes; one empty run for no entries."""
    begin, size = 0, _PER_APPEND
    for at, entry in enumerate(entries):
        more = _wire_bytes(entry)
        if at > begin and size + more > PART_BYTES:
            yield entries[begin:at], size
            begin, size = at, _PER_APPEND
        size += more
    yield entries[begin:], size


def _wire_bytes(entry: Entry) -> int:
    size = entry.size + _PER_RECORD * len(entry.keys) + _PER_ENTRY
    if size > MAX_ENTRY_BYTES:
        log.error("a batch is too large to be replicated", extra=LogFields(bytes=size, limit=MAX_ENTRY_BYTES))
        raise PeerUnreachable(f"an entry of {size} bytes cannot be sent, at most {MAX_ENTRY_BYTES} can")
    return size


def joined(before: Appended | None, answer: Appended) -> Appended:
    """The answer to an append whose parts were answered one by one: accepted when all were; the last says where it stands."""
    return answer if before is None or before.accepted else replace(answer, accepted=False)


def chunks(chunk: SnapshotChunk) -> Iterator[SnapshotChunk]:
    """A chunk in pieces: the first of them begins the snapshot, and the last ends it, when the chunk does."""
    begin, size = 0, 0
    for at, (key, record) in enumerate(zip(chunk.keys, chunk.records, strict=True)):
        more = len(key) + len(record) + _PER_RECORD
        if at > begin and size + more > PART_BYTES:
            yield _piece(chunk, begin, at)
            begin, size = at, 0
        size += more
    yield _piece(chunk, begin, len(chunk.keys))


def _piece(chunk: SnapshotChunk, begin: int, end: int) -> SnapshotChunk:
    return replace(
        chunk,
        keys=chunk.keys[begin:end],
        records=chunk.records[begin:end],
        first=chunk.first and begin == 0,
        history=chunk.history if end == len(chunk.keys) else None,
    )
