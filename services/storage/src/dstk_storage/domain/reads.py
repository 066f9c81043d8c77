"""Point reads, inline, and pages of a scan, made for a thread."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from dstk_keytypes import KeyRange
from dstk_storage.domain import layout
from dstk_storage.domain.layout import Stored
from dstk_storage.ports import Engine

CHUNK = 500
"""Records that are looked at in one sweep of list comprehensions; a loop over single records is 1.5 times slower."""

MAX_EXAMINED = 50_000
"""Records that one page looks at, expired ones included, before it ends early."""


@dataclass(slots=True)
class Page:
    """Records in the order of the scan, encoded as they lie on disk: whoever wants their fields decodes them."""

    keys: list[bytes] = field(default_factory=list)
    records: list[bytes] = field(default_factory=list)
    """As many as keys."""
    resume_key: bytes | None = None
    """Where to go on inside the range: next start, or next end in reverse. None: the range is read."""


def live(raw: bytes | None, now_ms: int) -> Stored | None:
    """The record, unless it is absent or expired."""
    if raw is None:
        return None
    stored = layout.decode_record(raw)
    return None if 0 < stored.expires_at_ms <= now_ms else stored


def scan_page(engine: Engine, key_range: KeyRange, limit: int, max_bytes: int, now_ms: int, *, reverse: bool) -> Page:
    """Reads up to `limit` live records of `key_range` at one instant. Blocks: call it on a thread.

    The page ends early at `max_bytes` of keys and values, or when it has looked at MAX_EXAMINED records.
    """
    page = Page()
    start, stop = layout.data_bounds(key_range)
    examined = size = 0
    last = b""
    with engine.iterate(start, stop, reverse=reverse) as pairs:
        while True:
            want = min(CHUNK, limit - len(page.keys))
            chunk = _chunk(pairs, max(want, 1), max_bytes - size)
            if not chunk:
                return page
            if want == 0 or size >= max_bytes or examined >= MAX_EXAMINED:
                page.resume_key = _resume(chunk[0][0], last, reverse=reverse)
                return page
            last = chunk[-1][0]
            examined += len(chunk)
            size += _take(page, chunk, now_ms)


class Counted(NamedTuple):
    """Live records, and the bytes of their keys and values; `resume_key` as in Page."""

    records: int
    size: int
    resume_key: bytes | None


def count(engine: Engine, key_range: KeyRange, limit: int, now_ms: int) -> Counted:
    """Counts the live ones of the first `limit` records. Blocks: call it on a thread."""
    records = size = 0
    with engine.iterate(*layout.data_bounds(key_range), fill_cache=False) as pairs:
        for key, raw in islice(pairs, limit):
            if raw[1] and layout.expires_at(raw) <= now_ms:
                continue
            records += 1
            size += len(key) - 1 + len(raw) - (layout.HEADER_EXPIRES_BYTES if raw[1] else layout.HEADER_BYTES)
        following = next(pairs, None)
    return Counted(records, size, None if following is None else following[0][1:])


def _chunk(pairs: Iterator[tuple[bytes, bytes]], count: int, room: int) -> list[tuple[bytes, bytes]]:
    """Up to `count` pairs, fewer when they overstep `room` bytes: values may be a MiB each."""
    chunk = []
    for pair in islice(pairs, count):
        chunk.append(pair)
        room -= len(pair[1])
        if room <= 0:
            break
    return chunk


def _resume(following: bytes, last: bytes, *, reverse: bool) -> bytes:
    """Forward: the next key itself. In reverse the end is exclusive: the last key that was looked at."""
    return last[1:] if reverse else following[1:]


def _take(page: Page, chunk: list[tuple[bytes, bytes]], now_ms: int) -> int:
    """Appends the live records of a chunk to the page and returns their bytes."""
    records = [raw for _, raw in chunk]
    if [True for raw in records if raw[1]]:
        chunk = [(key, raw) for key, raw in chunk if not raw[1] or layout.expires_at(raw) > now_ms]
        records = [raw for _, raw in chunk]
    keys = [key[1:] for key, _ in chunk]
    page.keys += keys
    page.records += records
    return sum(map(len, keys)) + sum(map(len, records))
