"""Pages of a scan: one for a call, or all of them as a stream."""

import asyncio

import grpc

from dstk.v1 import kv_pb2, records_pb2
from dstk_keytypes import KeyRange
from dstk_service.clock import Clock
from dstk_service.errors import NotOwner
from dstk_storage.domain import layout
from dstk_storage.domain.reads import Page
from dstk_storage.domain.store import Store
from dstk_storage.servicers.translate import Translator


class Scans:
    """Reads pages as requests ask for them."""

    def __init__(self, store: Store, clock: Clock, translate: Translator) -> None:
        self._store = store
        self._clock = clock
        self._translate = translate

    async def page(self, request: kv_pb2.ScanRequest) -> kv_pb2.ScanResponse:
        """One page. Raises DstkError."""
        wanted = KeyRange(request.start, request.end or None)
        now_ms = self._clock.now_ms()
        with self._translate:
            page = await self._store.scan(wanted, request.limit, request.epoch, now_ms, reverse=request.reverse)
        return kv_pb2.ScanResponse(records=_batch(page, request), resume_key=page.resume_key)

    async def stream(self, request: kv_pb2.ScanRequest, context: grpc.aio.ServicerContext) -> None:
        """Page by page, as far as the range lies on this node. Raises DstkError.

        The next page is read while one is sent, and none before the transport has taken the last but one: a caller that
        does not read costs two pages.
        """
        if request.total:
            request.limit = min(request.limit, request.total)
        response: kv_pb2.ScanResponse | None = await self.page(request)
        while response is not None:
            ahead = asyncio.create_task(self._behind(request, response))
            try:
                await context.write(response)
                response = await ahead
            finally:
                ahead.cancel()

    async def _behind(self, request: kv_pb2.ScanRequest, response: kv_pb2.ScanResponse) -> kv_pb2.ScanResponse | None:
        """The page behind `response`; None where the range, or what this node has of it, ends."""
        if not _advance(request, response):
            return None
        try:
            return await self.page(request)
        except NotOwner:
            return None


def _advance(request: kv_pb2.ScanRequest, response: kv_pb2.ScanResponse) -> bool:
    """Makes the request one for the page behind `response`; False: there is none."""
    if not response.HasField("resume_key"):
        return False
    if request.total:
        count = len(response.records.keys)
        if count == request.total:
            return False
        request.total -= count
        request.limit = min(request.limit, request.total)
    request.epoch = 0
    if request.reverse:
        request.end = response.resume_key
    else:
        request.start = response.resume_key
    return True


def _batch(page: Page, request: kv_pb2.ScanRequest) -> records_pb2.RecordBatch:
    """The records in the form that the request asks for."""
    if request.keys_only:
        return records_pb2.RecordBatch(keys=page.keys)
    return _packed(page) if request.packed else _columns(page)


def _packed(page: Page) -> records_pb2.RecordBatch:
    """What lies on disk is the packed form (records.proto); a test holds the two together."""
    return records_pb2.RecordBatch(keys=page.keys, packed=page.records)


def _columns(page: Page) -> records_pb2.RecordBatch:
    stored = [layout.decode_record(raw) for raw in page.records]
    values, etags, written, expires = zip(*stored, strict=True) if stored else ((), (), (), ())
    return records_pb2.RecordBatch(
        keys=page.keys,
        values=values,
        etags=etags,
        written_at_ms=written,
        expires_at_ms=expires if any(expires) else (),
    )
