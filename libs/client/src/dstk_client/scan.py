"""A scan over any number of pages and partitions. It reads the next page while the caller uses the current one."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from itertools import repeat
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from dstk.v1 import kv_pb2, records_pb2
from dstk_client import arguments
from dstk_client.pages import advance
from dstk_client.types import Record
from dstk_keytypes import Key, KeyRange, limits

if TYPE_CHECKING:
    from dstk_client.core import CoreClient

T = TypeVar("T")

_MAX_TOTAL = 2**64 - 1


class Scan(Generic[T]):
    """Iterate over it for records (or keys), or over `pages()` for lists of them. Each page is consistent in itself.

    Raises DstkError: NotServing or DeadlineExceeded when a page does not come in time.
    """

    def __init__(
        self,
        core: "CoreClient",
        request: kv_pb2.ScanRequest | None,
        items: Callable[[records_pb2.RecordBatch], list[T]],
        seconds: float | None,
    ) -> None:
        self._core = core
        self._request = request
        self._items = items
        self._seconds = seconds

    async def __aiter__(self) -> AsyncIterator[T]:
        """One by one."""
        async for page in self.pages():
            for item in page:
                yield item

    async def pages(self) -> AsyncGenerator[list[T], None]:
        """Non-empty lists of items, which is faster than one by one. Leaving early cancels the read-ahead."""
        request = self.request
        if request is None:
            self._core.check_usable()
            return
        async with aclosing(self._core.raw_pages(request, timeout=self._seconds).__aiter__()) as responses:
            async for response in responses:
                if response.records.keys:
                    yield self._items(response.records)

    @property
    def request(self) -> kv_pb2.ScanRequest | None:
        """The request for the whole scan, which reading changes; None: the range cannot hold records."""
        if self._request is None:
            return None
        request = kv_pb2.ScanRequest()
        request.CopyFrom(self._request)
        return request

    async def page(self, request: kv_pb2.ScanRequest | None) -> tuple[list[T], kv_pb2.ScanRequest | None]:
        """The page that `request` asks for, which may be empty, and the request for the next page; None: no more pages."""
        if request is None:
            self._core.check_usable()
            return [], None
        if request.total:
            request.limit = min(request.limit, request.total)
        response = await self._core.raw_page(request, timeout=self._seconds)
        return self._items(response.records), request if advance(request, response) else None


def request_for(
    key_range: KeyRange, *, limit: int | None, reverse: bool, page_size: int, keys_only: bool = False
) -> kv_pb2.ScanRequest | None:
    """The request of a scan; None: the range cannot hold records. Raises InvalidArgument."""
    wanted = arguments.key_range("key_range", key_range)
    total = None if limit is None else arguments.whole("limit", limit, 0, _MAX_TOTAL, " records")
    request = kv_pb2.ScanRequest(
        start=wanted.start,
        end=wanted.end or b"",
        limit=arguments.whole("page_size", page_size, 1, limits.MAX_SCAN_RECORDS, " records"),
        reverse=arguments.flag("reverse", reverse),
        packed=True,
        total=total or 0,
        keys_only=keys_only,
    )
    return None if total == 0 or wanted.is_empty else request


def to_records(batch: records_pb2.RecordBatch) -> list[Record]:
    """The records of a batch in either form, packed or columns."""
    if batch.packed:
        return Record.all_unpacked(batch.keys, batch.packed)
    expires = batch.expires_at_ms or repeat(0)
    return list(map(Record, batch.keys, batch.values, batch.etags, batch.written_at_ms, expires))


def to_keys(batch: records_pb2.RecordBatch) -> list[Key]:
    """A batch's keys."""
    return list(map(cast("Callable[[bytes], Key]", Key.unchecked), batch.keys))
