"""The client for programs without an event loop: the same calls, blocking, on a loop in a background thread."""

from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from dstk_client.background import Background
from dstk_client.connecting import Mode, connect
from dstk_client.core import CoreClient
from dstk_client.types import BulkResult, Client, Page, Record
from dstk_keytypes import Etag, Key, KeyRange, Ttl

T = TypeVar("T")


@contextmanager
def connect_sync(*addresses: str, mode: Mode = "thick", timeout: float = 5.0) -> "Iterator[SyncClient]":
    """As `connect`, for a `with` statement. Calls that are under way in other threads at its end raise ClientClosed."""
    background = Background(connect(*addresses, mode=mode, timeout=timeout))
    try:
        yield SyncClient(background.start(), background)
    finally:
        background.close()


class SyncClient:
    """See types.Client; may be used from any thread of the process that has connected it."""

    def __init__(self, client: Client, background: Background[CoreClient]) -> None:
        self._client = client
        self._background = background

    def get(self, key: Key, *, timeout: float | None = None) -> Record | None:
        """See Client."""
        return self._wait(self._client.get(key, timeout=timeout))

    def put(
        self,
        key: Key,
        value: bytes,
        *,
        if_absent: bool = False,
        if_etag: int | None = None,
        ttl: Ttl | None = None,
        timeout: float | None = None,
    ) -> Etag:
        """See Client."""
        return self._wait(self._client.put(key, value, if_absent=if_absent, if_etag=if_etag, ttl=ttl, timeout=timeout))

    def delete(self, key: Key, *, if_etag: int | None = None, timeout: float | None = None) -> bool:
        """See Client."""
        return self._wait(self._client.delete(key, if_etag=if_etag, timeout=timeout))

    def bulk_insert(
        self, records: Sequence[tuple[Key, bytes]], *, ttl: Ttl | None = None, if_absent: bool = False
    ) -> BulkResult:
        """See Client."""
        return self._wait(self._client.bulk_insert(records, ttl=ttl, if_absent=if_absent))

    def scan(self, key_range: KeyRange, *, limit: int | None = None, reverse: bool = False) -> Iterator[Record]:
        """All records of the range, fetched a page at a time."""
        rest, remaining = key_range, limit
        while remaining != 0 and not rest.is_empty:
            page = self.scan_page(rest, min(1000, remaining or 1000), reverse=reverse)
            yield from page.records
            remaining = None if remaining is None else remaining - len(page.records)
            if page.resume_key is None:
                return
            rest = KeyRange(rest.start, page.resume_key) if reverse else KeyRange(page.resume_key, rest.end)

    def scan_page(self, key_range: KeyRange, limit: int, *, reverse: bool = False) -> Page:
        """See Client."""
        return self._wait(self._client.scan_page(key_range, limit, reverse=reverse))

    def _wait(self, call: Coroutine[Any, Any, T]) -> T:
        return self._background.run(call)
