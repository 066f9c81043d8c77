"""Point reads, inline, and pages of a scan, made for a thread."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice

from dstk_keytypes import KeyRange
from dstk_storage.domain import layout
from dstk_storage.domain.estimate import Counted
from dstk_storage.ports import Engine, Snapshot

MAX_EXAMINED = 50_000
"""Records that one page looks at, expired ones included, before it ends early."""


@dataclass(slots=True)
class Page:
    """Records in the order of the scan, encoded as they lie on disk: whoever wants their fields decodes them."""

    keys: list[bytes] = field(default_factory=list)
    records: list[bytes] = field(default_factory=list)
    """As many as keys."""
    size: int = 0
    """Bytes of the keys and values."""
    expiring: int = 0
    """How many of the records expire."""
    resume_key: bytes | None = None
    """Where to go on inside the range: next start, or next end in reverse. None: the range is read."""
    seconds: float = 0.0
    """How long the engine took to read it."""


def size_of(page: Page, part: slice) -> int:
    """Bytes of the keys and values of a part of a page: 25 ns a record."""
    keys, records = page.keys[part], page.records[part]
    expiring = sum(1 for raw in records if raw[1]) if page.expiring else 0
    return sum(map(len, keys)) + sum(map(len, records)) - _headers(len(records), expiring)


def scan_page(engine: Engine, key_range: KeyRange, limit: int, max_bytes: int, now_ms: int, *, reverse: bool) -> Page:
    """Reads up to `limit` live records of `key_range` at one instant. Blocks: call it on a thread.

    The page ends early at `max_bytes` of keys and values, or when it has looked at MAX_EXAMINED records.
    """
    page = Page()
    examined, room, last = 0, max_bytes, b""
    with engine.iterate(*layout.data_bounds(key_range), reverse=reverse) as pairs:
        while room > 0 and (want := min(limit - len(page.keys), MAX_EXAMINED - examined)) > 0:
            reached, room = _take(page, islice(pairs, want), room, now_ms)
            if reached is None:
                return page
            last = reached
            examined += want
        following = next(pairs, None)
    if following is not None:  # in reverse the end is exclusive: the last key that was looked at
        page.resume_key = last[1:] if reverse else following[0][1:]
    return page


def count(engine: Snapshot, key_range: KeyRange, limit: int, now_ms: int) -> tuple[Counted, bytes | None]:
    """Counts the first `limit` records, and where to go on: None: the range is counted. Blocks: call it on a thread."""
    records = size = expired = expired_bytes = squares = 0
    with engine.iterate(*layout.data_bounds(key_range)) as pairs:
        for key, raw in islice(pairs, limit):
            length = len(key) - 1 + len(raw) - (layout.HEADER_EXPIRES_BYTES if raw[1] else layout.HEADER_BYTES)
            records += 1
            size += length
            squares += length * length
            if raw[1] and layout.expires_at(raw) <= now_ms:
                expired += 1
                expired_bytes += length
        following = next(pairs, None)
    return Counted(records, size, expired, expired_bytes, squares), None if following is None else following[0][1:]


def _take(page: Page, pairs: Iterable[tuple[bytes, bytes]], room: int, now_ms: int) -> tuple[bytes | None, int]:
    """Appends the live ones of the pairs to the page, until they overstep `room` bytes. Returns the last key that it looked
    at, None when there was none, and the room that is left.

    A plain loop, which has half the cost of sweeps of list comprehensions over chunks: 0.1 µs a record rather than 0.2.
    """
    add_key, add_record = page.keys.append, page.records.append
    key, room_before, count, expiring = None, room, len(page.keys), 0
    for key, raw in pairs:
        if raw[1]:
            if layout.expires_at(raw) <= now_ms:
                continue
            expiring += 1
        add_key(key[1:])
        add_record(raw)
        room -= len(key) + len(raw)
        if room <= 0:
            break
    count = len(page.keys) - count
    page.expiring += expiring
    page.size += room_before - room - count - _headers(count, expiring)
    return key, room


def _headers(records: int, expiring: int) -> int:
    """Bytes of the headers of so many records, of which some expire."""
    return records * layout.HEADER_BYTES + expiring * (layout.HEADER_EXPIRES_BYTES - layout.HEADER_BYTES)
