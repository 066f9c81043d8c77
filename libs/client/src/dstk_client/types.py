"""What the client takes and gives."""

from collections.abc import AsyncIterator, Sequence
from enum import IntEnum
from typing import NamedTuple, Protocol

from dstk_keytypes import Etag, Key, KeyRange, Ttl


class Record(NamedTuple):
    """One record. Times in Unix milliseconds; `expires_at_ms` 0: never."""

    key: Key
    value: bytes
    etag: int
    written_at_ms: int
    expires_at_ms: int


class Page(NamedTuple):
    """A piece of a scan. `resume_key`: where to go on (next start, or next end in reverse); None: the range is read."""

    records: list[Record]
    resume_key: bytes | None


class BulkStop(IntEnum):
    """Why a bulk insert stopped; the numbers are those of the wire."""

    COMPLETE = 1
    PARTITION_END = 2
    KEY_EXISTS = 3
    OVERLOADED = 4


class BulkResult(NamedTuple):
    """The first `inserted` records went in, with these etags; `current_etag` is of the record in the way, if any."""

    inserted: int
    etags: list[int]
    stop: BulkStop
    current_etag: int


class Client(Protocol):
    """The whole key space, through a router or straight to the storage nodes. `timeout` in seconds; None: the client's.

    Errors are those of dstk_service.errors. DeadlineExceeded and WriteAmbiguous of a write: it may have been applied.
    """

    async def get(self, key: Key, *, timeout: float | None = None) -> Record | None:
        """The record, or None."""

    async def put(
        self,
        key: Key,
        value: bytes,
        *,
        if_absent: bool = False,
        if_etag: int | None = None,
        ttl: Ttl | None = None,
        timeout: float | None = None,
    ) -> Etag:
        """Writes and returns the new etag, once it is on disk. Raises AlreadyExists, EtagMismatched."""

    async def delete(self, key: Key, *, if_etag: int | None = None, timeout: float | None = None) -> bool:
        """Removes; False when there was nothing. Raises EtagMismatched."""

    async def scan_page(
        self, key_range: KeyRange, limit: int, *, reverse: bool = False, timeout: float | None = None
    ) -> Page:
        """Up to `limit` (1..10,000) records; maybe fewer, with the key to go on from."""

    async def bulk_insert(
        self,
        records: Sequence[tuple[Key, bytes]],
        *,
        ttl: Ttl | None = None,
        if_absent: bool = False,
        timeout: float | None = None,
    ) -> BulkResult:
        """Inserts sorted records from the front, as far as the partition of the first key reaches, as one batch."""

    def scan(
        self, key_range: KeyRange, *, limit: int | None = None, reverse: bool = False, page_size: int = 2000
    ) -> "ScanLike":
        """All records of the range: iterate over it, or over its `pages()`."""


class ScanLike(Protocol):
    """A scan under way."""

    def __aiter__(self) -> AsyncIterator[Record]:
        """Record by record."""

    def pages(self) -> AsyncIterator[list[Record]]:
        """Page by page, which is faster."""
