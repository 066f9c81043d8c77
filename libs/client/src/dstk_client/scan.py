"""A scan over any number of pages and partitions. The next page is on its way while one is looked at."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import TYPE_CHECKING

from dstk.v1 import kv_pb2
from dstk_client.types import Record
from dstk_keytypes import KeyRange, limits
from dstk_service import requests

if TYPE_CHECKING:
    from dstk_client.core import CoreClient


class Scan:
    """Iterate over it for records, or over `pages()` for lists of them. Each page is consistent in itself."""

    def __init__(
        self, client: "CoreClient", key_range: KeyRange, *, limit: int | None, reverse: bool, page_size: int
    ) -> None:
        self._client = client
        self._range = key_range
        self._limit = limit
        self._reverse = reverse
        self._page_size = min(page_size, limits.MAX_SCAN_RECORDS)

    async def __aiter__(self) -> AsyncIterator[Record]:
        """Record by record."""
        async for page in self.pages():
            for record in page:
                yield record

    async def pages(self) -> AsyncIterator[list[Record]]:
        """Lists of records, none of them empty. Leaving early cancels what was asked for ahead."""
        from dstk_client.core import to_records  # noqa: PLC0415 - the client makes scans, not the other way round

        if self._limit == 0 or self._range.is_empty:
            return
        async with aclosing(self._client.raw_pages(self._request()).__aiter__()) as responses:
            async for response in responses:
                if response.records.keys:
                    yield to_records(response.records)

    def _request(self) -> kv_pb2.ScanRequest:
        request = kv_pb2.ScanRequest(
            start=self._range.start,
            end=self._range.end or b"",
            limit=self._page_size,
            reverse=self._reverse,
            packed=True,
            total=self._limit or 0,
        )
        requests.scan(request)
        return request
