"""The client for programs without an event loop: the same calls, blocking, on a loop in a background thread."""

import warnings
from collections.abc import Callable, Coroutine, Iterator, Sequence
from datetime import timedelta
from functools import partial
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from dstk_client.background import Background
from dstk_client.batching import Pair, Records, groups
from dstk_client.bulk import Options, SortedInsert
from dstk_client.client import Client
from dstk_client.connecting import Mode, connect
from dstk_client.scan import Scan
from dstk_client.types import BulkResult, Page, Record
from dstk_keytypes import Etag, Key, KeyRange, Ttl
from dstk_service.observe import NULL, Observer

T = TypeVar("T")


def connect_sync(
    *addresses: str, mode: Mode = "thick", timeout: float = 5.0, observer: Observer = NULL
) -> "SyncClient":
    """The same as `connect`, for programs without an event loop. Use it in a `with` statement, or close the client yourself.
    `observer` is called on the client's own thread.
    """
    background = Background(connect(*addresses, mode=mode, timeout=timeout, observer=observer))
    try:
        return SyncClient(background.start(), background)
    except BaseException:
        background.close()
        raise


class SyncClient:
    """All calls of Client, blocking; made by `connect_sync`. Any thread of the process that connected it may use it.

    Arguments, results and errors are those of Client. The `timeout` of a call is in seconds; None: the client's default.
    """

    def __init__(self, client: Client, background: Background[Client]) -> None:
        self._client = client
        self._background = background

    def get(self, key: Key, *, timeout: float | None = None) -> Record | None:
        """The record under the key, or None."""
        return self._wait(lambda: self._client.get(key, timeout=timeout))

    def get_many(self, keys: Sequence[Key], *, timeout: float | None = None) -> list[Record | None]:
        """The records under up to 10,000 keys, in the order of the keys: None where there is no record."""
        return self._wait(lambda: self._client.get_many(keys, timeout=timeout))

    def put(
        self,
        key: Key,
        value: bytes | bytearray | memoryview,
        *,
        if_absent: bool = False,
        if_etag: int | None = None,
        ttl: Ttl | timedelta | None = None,
        timeout: float | None = None,
    ) -> Etag:
        """Writes a record and returns its new etag once it is on disk.

        `if_absent`: only where there is no record, else raises AlreadyExists. `if_etag`: only where the record has this etag,
        else raises EtagMismatched. `ttl`: how long the record lives; None: it does not expire.
        """
        return self._wait(
            lambda: self._client.put(key, value, if_absent=if_absent, if_etag=if_etag, ttl=ttl, timeout=timeout)
        )

    def delete(self, key: Key, *, if_etag: int | None = None, timeout: float | None = None) -> bool:
        """Deletes the record under the key; False when there is none. `if_etag`: only where the record has this etag, else
        raises EtagMismatched.
        """
        return self._wait(lambda: self._client.delete(key, if_etag=if_etag, timeout=timeout))

    def delete_range(
        self, key_range: KeyRange, *, timeout: float | None = None, progress: Callable[[int], object] | None = None
    ) -> int:
        """Deletes all records of a range, piece by piece, and returns how many it has deleted.

        `timeout`: seconds for each piece of at most 1,000 records. `progress` is called with the number of records of each
        piece, on the client's thread, where it must not call the client. Raises RangeDeletionStopped if a piece fails.
        """
        return self._wait(lambda: self._client.delete_range(key_range, timeout=timeout, progress=progress))

    def count(self, key_range: KeyRange, *, timeout: float | None = None) -> int:
        """How many live records a range has. `timeout`: seconds for each page."""
        return self._wait(lambda: self._client.count(key_range, timeout=timeout))

    def scan(
        self,
        key_range: KeyRange,
        *,
        limit: int | None = None,
        reverse: bool = False,
        page_size: int = 2000,
        timeout: float | None = None,
    ) -> "SyncScan[Record]":
        """The records of a range in the order of their keys: iterate over it, or over its `pages()`. As Client.scan."""
        scan = self._client.scan(key_range, limit=limit, reverse=reverse, page_size=page_size, timeout=timeout)
        return SyncScan(scan, self._wait)

    def scan_keys(
        self,
        key_range: KeyRange,
        *,
        limit: int | None = None,
        reverse: bool = False,
        page_size: int = 10_000,
        timeout: float | None = None,
    ) -> "SyncScan[Key]":
        """As `scan`, of the keys alone: no values are sent."""
        scan = self._client.scan_keys(key_range, limit=limit, reverse=reverse, page_size=page_size, timeout=timeout)
        return SyncScan(scan, self._wait)

    def scan_page(
        self, key_range: KeyRange, limit: int, *, reverse: bool = False, timeout: float | None = None
    ) -> Page:
        """Up to `limit` (1..10,000) records of a range at one instant, and the key from which to continue. As
        Client.scan_page.
        """
        return self._wait(lambda: self._client.scan_page(key_range, limit, reverse=reverse, timeout=timeout))

    def bulk_insert(
        self,
        records: Sequence[Pair],
        *,
        ttl: Ttl | timedelta | None = None,
        expires_at_ms: Sequence[int] = (),
        if_absent: bool = False,
        timeout: float | None = None,
    ) -> BulkResult:
        """Inserts 1..10,000 records of at most 8 MiB, in strictly ascending order of their keys, as one atomic batch. As
        Client.bulk_insert.
        """
        return self._wait(
            lambda: self._client.bulk_insert(
                records, ttl=ttl, expires_at_ms=expires_at_ms, if_absent=if_absent, timeout=timeout
            )
        )

    def insert_sorted(
        self,
        records: Records,
        *,
        batch_size: int = 1000,
        in_flight: int = 4,
        ttl: Ttl | timedelta | None = None,
        if_absent: bool = False,
        repeat_ambiguous: bool = False,
        timeout: float | None = None,
        progress: Callable[[int], object] | None = None,
    ) -> int:
        """Inserts any number of records, several bulk inserts at a time, until all are on disk; returns how many.

        Takes and raises what Client.insert_sorted does. It iterates over `records` on the caller's thread, and calls `progress`
        on the client's thread, where it must not call the client.
        """
        timeout = self._client.timeout if timeout is None else timeout
        options = Options(batch_size, in_flight, ttl, if_absent, repeat_ambiguous, timeout, progress).checked()
        insert = SortedInsert(self._client, options)
        for ready in groups(records, options.batch_size, options.in_flight):
            self._wait(partial(insert.run, ready))
        return insert.inserted

    def close(self) -> None:
        """Closes all connections. Calls in progress in other threads raise ClientClosed; closing twice does nothing."""
        self._background.close()

    def __del__(self, _warn: Callable[..., None] = warnings.warn) -> None:
        background = getattr(self, "_background", None)
        if background is not None and background.is_open:
            _warn(f"unclosed {self!r}: use `with`, or call its close()", ResourceWarning, source=self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _wait(self, call: Callable[[], Coroutine[Any, Any, T]]) -> T:
        return self._background.run(call)


class SyncScan(Generic[T]):
    """Iterate over it for records (or keys), or over `pages()` for lists of them. Each page is consistent in itself."""

    def __init__(self, scan: Scan[T], wait: Callable[[Callable[[], Coroutine[Any, Any, Any]]], Any]) -> None:
        self._scan = scan
        self._wait = wait

    def __iter__(self) -> Iterator[T]:
        for page in self.pages():
            yield from page

    def pages(self) -> Iterator[list[T]]:
        """Non-empty lists of items."""
        request = self._scan.request
        while True:
            items, request = self._wait(partial(self._scan.page, request))
            if items:
                yield items
            if request is None:
                return
