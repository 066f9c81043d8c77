"""The KeyValue service over the partitions of this node."""

from collections.abc import AsyncIterator

import grpc
from typing_extensions import override

from dstk.v1 import kv_pb2, kv_pb2_grpc, records_pb2
from dstk_keytypes import limits
from dstk_service import requests
from dstk_service.answers import Answers
from dstk_service.clock import Clock
from dstk_service.drain import Drain
from dstk_service.errors import NotFound
from dstk_service.execute import ExecuteStream
from dstk_service.observe import NULL, Observer
from dstk_service.rpc_events import OperationKind
from dstk_service.trace import NEVER, Sampler, current_trace
from dstk_storage.domain.layout import Stored
from dstk_storage.domain.receipt import Receipt
from dstk_storage.domain.store import Store
from dstk_storage.domain.writes import Writer
from dstk_storage.servicers.execute import Lane
from dstk_storage.servicers.failures import Failures, noted
from dstk_storage.servicers.scans import Scans
from dstk_storage.servicers.translate import Translator


class KeyValueServicer(kv_pb2_grpc.KeyValueServicer):
    """Validates, calls the store, waits for the disk where something was written."""

    def __init__(
        self,
        store: Store,
        writer: Writer,
        clock: Clock,
        translate: Translator,
        drain: Drain,
        answers: Answers,
        observer: Observer = NULL,
        sampler: Sampler = NEVER,
    ) -> None:
        self.failures = Failures(store, observer)
        self._observer, self._sampler = observer, sampler
        self._store, self._writer = store, writer
        self._clock = clock
        self._translate = translate
        self._drain = drain
        self._answers = answers
        self._lane = Lane(store, writer, clock, translate, answers, self.failures)
        self._scans = Scans(store, clock, translate, answers)

    @override
    @noted(OperationKind.GET)
    @override
    async def Get(self, request: kv_pb2.GetRequest, context: grpc.aio.ServicerContext) -> kv_pb2.GetResponse:
        requests.get(request)
        with await self._answers.reserve(limits.MAX_VALUE_BYTES, context.peer()), self._translate:
            stored = self._store.get(request.key, request.epoch, self._clock.now_ms())
        if stored is None:
            raise NotFound(request.key)
        return kv_pb2.GetResponse(record=_record(request.key, stored))

    @override
    @noted(OperationKind.PUT)
    @override
    async def Put(self, request: kv_pb2.PutRequest, context: grpc.aio.ServicerContext) -> kv_pb2.PutResponse:
        requests.put(request)
        now_ms = self._clock.now_ms()
        condition, if_etag = request.precondition, request.if_etag
        async with _Written(self._translate) as receipt:
            etag = self._writer.put(
                request.key, request.value, condition, if_etag, request.ttl_ms, request.epoch, now_ms, receipt
            )
            self._trace(request.key, etag)
        return kv_pb2.PutResponse(etag=etag)

    @override
    @noted(OperationKind.DELETE)
    @override
    async def Delete(self, request: kv_pb2.DeleteRequest, context: grpc.aio.ServicerContext) -> kv_pb2.DeleteResponse:
        requests.delete(request)
        now_ms = self._clock.now_ms()
        condition, if_etag = request.precondition, request.if_etag
        async with _Written(self._translate) as receipt:
            etag = self._writer.delete(request.key, condition, if_etag, request.epoch, now_ms, receipt)
            self._trace(request.key, etag)
        return kv_pb2.DeleteResponse(etag=etag)

    @override
    @noted(OperationKind.SCAN)
    @override
    async def Scan(self, request: kv_pb2.ScanRequest, context: grpc.aio.ServicerContext) -> kv_pb2.ScanResponse:
        requests.scan(request)
        with await self._answers.reserve(limits.MAX_SCAN_BYTES, context.peer()):
            return await self._scans.page(request, limits.MAX_SCAN_BYTES)

    @override
    @noted(OperationKind.SCAN)
    @override
    async def ScanPages(  # type: ignore[override] # it writes through the context
        self, request: kv_pb2.ScanRequest, context: grpc.aio.ServicerContext
    ) -> None:
        requests.scan(request)
        await self._scans.stream(request, context)

    @override
    @noted(OperationKind.BULK_INSERT)
    @override
    async def BulkInsert(
        self, request: kv_pb2.BulkInsertRequest, context: grpc.aio.ServicerContext
    ) -> kv_pb2.BulkInsertResponse:
        keys, values = requests.bulk_insert(request)
        now_ms = self._clock.now_ms()
        async with _Written(self._translate) as receipt:
            result = self._writer.bulk_insert(
                keys,
                values,
                request.ttl_ms,
                request.epoch,
                now_ms,
                receipt,
                if_absent=request.if_absent,
                expires_at_ms=list(request.expires_at_ms),
            )
            if result.inserted:
                self._trace(keys[0], result.first_etag)
        return kv_pb2.BulkInsertResponse(
            inserted=result.inserted,
            etags=range(result.first_etag, result.first_etag + result.inserted),
            stop=kv_pb2.BulkStop.ValueType(result.stop),
            current_etag=result.current_etag,
        )

    @override
    async def Execute(  # type: ignore[override] # it reads and writes through the context
        self, request_iterator: AsyncIterator[kv_pb2.ExecuteRequest], context: grpc.aio.ServicerContext
    ) -> None:
        handle, answers = self._lane.handle, self._answers
        await ExecuteStream(handle, self._drain, answers, context, observer=self._observer, sampler=self._sampler).run()

    def _trace(self, key: bytes, etag: int) -> None:
        """Makes the batch of a write part of the call's trace, if it has one."""
        if (context := current_trace()) is not None:
            self._writer.trace(key, etag, context)


class _Written:
    """Around a write, with the receipt for it. Afterwards waits until the receipt is durable, also when a precondition failed:
    the write that it met may not be on disk yet. Translates errors.
    """

    def __init__(self, translate: Translator) -> None:
        self._translate, self._receipt = translate, Receipt()

    async def __aenter__(self) -> Receipt:
        return self._receipt

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        with self._translate:
            await self._receipt.durable()
            if error is not None:
                raise error


def _record(key: bytes, stored: Stored) -> records_pb2.Record:
    return records_pb2.Record(
        key=key,
        value=stored.value,
        etag=stored.etag,
        written_at_ms=stored.written_at_ms,
        expires_at_ms=stored.expires_at_ms,
    )
