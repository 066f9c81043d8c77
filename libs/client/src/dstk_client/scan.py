"""A scan over any number of pages and partitions. The next page is asked for before the last one is looked at."""

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from dstk.v1 import kv_pb2
from dstk_client.types import Record
from dstk_keytypes import KeyRange, limits

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

        remaining = self._limit
        ahead = self._ask(self._range, remaining)
        try:
            while ahead is not None:
                response = await ahead
                count = len(response.records.keys)
                remaining = None if remaining is None else remaining - count
                ahead = self._next(response, remaining)
                if ahead is not None:
                    for _ in range(2):  # our task's step, then gRPC's own: the request is out before this page is read
                        await asyncio.sleep(0)
                if count:
                    yield to_records(response.records)
        finally:
            if ahead is not None:
                ahead.cancel()

    def _next(self, response: kv_pb2.ScanResponse, remaining: int | None) -> "asyncio.Task[kv_pb2.ScanResponse] | None":
        if not response.HasField("resume_key") or remaining == 0:
            return None
        resume = response.resume_key
        rest = KeyRange(self._range.start, resume) if self._reverse else KeyRange(resume, self._range.end)
        return None if rest.is_empty else self._ask(rest, remaining)

    def _ask(self, key_range: KeyRange, remaining: int | None) -> "asyncio.Task[kv_pb2.ScanResponse] | None":
        limit = self._page_size if remaining is None else min(self._page_size, remaining)
        if limit == 0 or key_range.is_empty:
            return None
        return asyncio.create_task(self._client.raw_page(key_range, limit, reverse=self._reverse))
