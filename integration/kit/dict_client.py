"""A client of one dict, for tests of what is built on the client."""

import bisect
from collections.abc import AsyncIterator, Sequence
from typing import Any

from dstk_client import BulkResult, BulkStop, Record
from dstk_client.bulk import Options, insert_sorted
from dstk_keytypes import Etag, Key, KeyRange, Ttl
from dstk_service.errors import AlreadyExists, EtagMismatched

NOW_MS = 1_700_000_000_000


class DictClient:
    """As much of a client as the commands need. `failures`: raised by the next bulk inserts, one each."""

    def __init__(self) -> None:
        self.records: dict[Key, Record] = {}
        self.failures: list[Exception] = []
        self.border: bytes | None = None
        self.uid = "c0ffee"
        self.timeout = 60.0
        self._etag = 0

    async def get(self, key: Key) -> Record | None:
        return self.records.get(key)

    async def put(
        self, key: Key, value: bytes, *, if_absent: bool = False, if_etag: int | None = None, ttl: Ttl | None = None
    ) -> Etag:
        current = self.records.get(key)
        if if_absent and current:
            raise AlreadyExists(current.etag)
        if if_etag and (current is None or current.etag != if_etag):
            raise EtagMismatched(current.etag if current else 0)
        return self._write(key, value, NOW_MS + ttl if ttl else 0)

    async def delete(self, key: Key, *, if_etag: int | None = None) -> bool:
        return self.records.pop(key, None) is not None

    async def scan(
        self, key_range: KeyRange, *, limit: int | None = None, reverse: bool = False
    ) -> AsyncIterator[Record]:
        keys = sorted(filter(key_range.contains, self.records), reverse=reverse)
        for key in keys[:limit]:
            yield self.records[key]

    def scan_keys(self, key_range: KeyRange) -> "KeyPages":
        return KeyPages(sorted(filter(key_range.contains, self.records)))

    async def insert_sorted(self, records: Any, *, timeout: float | None = None, **given: Any) -> int:
        options = Options(in_flight=4, if_absent=False, timeout=timeout or self.timeout, **given)
        return await insert_sorted(self, records, options)

    async def bulk_insert(
        self,
        records: Sequence[tuple[Key, bytes]],
        *,
        ttl: Any = None,
        expires_at_ms: Sequence[int] = (),
        if_absent: bool = False,
        timeout: float | None = None,
    ) -> BulkResult:
        if self.failures:
            raise self.failures.pop(0)
        keys = [key for key, _ in records]
        assert keys == sorted(set(keys))
        end = len(keys)
        if self.border is not None and keys[0] < self.border:
            end = bisect.bisect_left(keys, self.border)
        expiries = expires_at_ms or [NOW_MS + ttl if ttl else 0] * len(keys)
        assert len(expiries) == len(keys)
        moments = zip(records[:end], expiries, strict=False)
        etags: list[int] = [self._write(key, value, expiry) for (key, value), expiry in moments]
        stop = BulkStop.COMPLETE if end == len(keys) else BulkStop.PARTITION_END
        return BulkResult(end, etags, stop, 0)

    def _write(self, key: Key, value: bytes, expires_at_ms: int) -> Etag:
        self._etag += 1
        self.records[key] = Record(key, value, self._etag, NOW_MS, expires_at_ms)
        return Etag(self._etag)


class KeyPages:
    """A scan of keys, two a page."""

    def __init__(self, keys: Sequence[Key]) -> None:
        self._keys = keys

    async def pages(self) -> AsyncIterator[Sequence[Key]]:
        for at in range(0, len(self._keys), 2):
            yield self._keys[at : at + 2]
