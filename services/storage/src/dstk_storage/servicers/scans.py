"""Pages of a scan: one for a call, or all of them as a stream."""

import asyncio
from typing import NamedTuple

import grpc

from dstk.v1 import kv_pb2, records_pb2
from dstk_keytypes import KeyRange
from dstk_service.answers import HELD_BYTES, PART_BYTES, PART_RESERVED_BYTES, Answers, Lease
from dstk_service.clock import Clock
from dstk_service.errors import NotOwner
from dstk_service.outgoing import serialized
from dstk_storage.domain import layout
from dstk_storage.domain.reads import Page
from dstk_storage.domain.store import Store
from dstk_storage.servicers.translate import Translator

AHEAD_BYTES = HELD_BYTES // 2
"""No page is read ahead unless so much is free: half of all answers may wait for those who read slowly."""


class Scans:
    """Reads pages as requests ask for them."""

    def __init__(self, store: Store, clock: Clock, translate: Translator, answers: Answers) -> None:
        self._store = store
        self._clock = clock
        self._translate = translate
        self._answers = answers

    async def page(self, request: kv_pb2.ScanRequest, most: int) -> kv_pb2.ScanResponse:
        """One page of about so many bytes. Raises DstkError."""
        wanted = KeyRange(request.start, request.end or None)
        now_ms = self._clock.now_ms()
        with self._translate:
            page = await self._store.scan(
                wanted, request.limit, request.epoch, now_ms, reverse=request.reverse, most=most
            )
        return kv_pb2.ScanResponse(records=_batch(page, request), resume_key=page.resume_key)

    async def stream(self, request: kv_pb2.ScanRequest, context: grpc.aio.ServicerContext) -> None:
        """Page by page, as far as the range lies on this node. Raises DstkError.

        The next page is read while one is sent, and none before the transport has taken the last but one: a caller that
        does not read costs two pages.
        """
        if request.total:
            request.limit = min(request.limit, request.total)
        ahead: asyncio.Task[_Encoded | None] = asyncio.create_task(self._encoded(request, context.peer()))
        try:
            while (page := await ahead) is not None:
                data, lease, more = page
                with lease:
                    if roomy := self._answers.has_room(AHEAD_BYTES):
                        ahead = asyncio.create_task(self._behind(request, context.peer(), more=more))
                    await self._answers.write(context, data, lease)
                if not roomy:
                    ahead = asyncio.create_task(self._behind(request, context.peer(), more=more))
                del page, data
        finally:
            _drop(ahead)
            del ahead  # what it raised names this frame

    async def _behind(self, request: kv_pb2.ScanRequest, peer: str, *, more: bool) -> "_Encoded | None":
        """The page behind the last one; None where the range, or what this node has of it, ends."""
        if not more:
            return None
        try:
            return await self._encoded(request, peer)
        except NotOwner:
            return None

    async def _encoded(self, request: kv_pb2.ScanRequest, peer: str) -> "_Encoded | None":
        """A page as it goes over the wire; the request becomes one for what is behind it."""
        lease = await self._answers.reserve(PART_RESERVED_BYTES, peer)
        try:
            response = await self.page(request, PART_BYTES)
            data = serialized(response)
            lease.resize(len(data))
            return _Encoded(data, lease, _advance(request, response))
        except BaseException:
            lease.release()
            raise


class _Encoded(NamedTuple):
    """A page of a stream: its bytes, which are in the lease, and whether one is to follow."""

    data: bytes
    lease: Lease
    more: bool


def _drop(page: "asyncio.Task[_Encoded | None]") -> None:
    """A page that is not sent; where it is still being read, that ends."""
    if page.cancel() or page.cancelled() or page.exception() is not None:
        return
    if (encoded := page.result()) is not None:
        encoded.lease.release()


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
