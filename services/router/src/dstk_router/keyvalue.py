"""The KeyValue service over the whole key space: checks a request, finds the node, forwards the request."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import grpc
from typing_extensions import override

from dstk.v1 import kv_pb2, kv_pb2_grpc, records_pb2
from dstk_client.core import ROUTER_SHARE, CoreClient
from dstk_client.pages import Pages
from dstk_client.retries import Effect
from dstk_client.types import Record
from dstk_keytypes import limits
from dstk_router.forward import Forwarder, fields_of
from dstk_service import requests
from dstk_service.answers import PART_RESERVED_BYTES, Answers, Lease
from dstk_service.drain import Drain
from dstk_service.errors import NotFound
from dstk_service.execute import ExecuteStream
from dstk_service.observe import NULL, Observer
from dstk_service.outgoing import serialized
from dstk_service.trace import NEVER, Sampler

_NOT_FOUND: int = grpc.StatusCode.NOT_FOUND.value[0]


class KeyValueServicer(kv_pb2_grpc.KeyValueServicer):
    """Serves KeyValue. It ignores callers' epochs, since the router's own are newer."""

    def __init__(
        self,
        client: CoreClient,
        drain: Drain,
        answers: Answers,
        request_seconds: float,
        observer: Observer = NULL,
        sampler: Sampler = NEVER,
    ) -> None:
        self._observer, self._sampler = observer, sampler
        self._client = client
        self._drain = drain
        self._seconds = request_seconds
        self._answers = answers
        self._forwarder = Forwarder(client, request_seconds)

    @override
    async def Get(self, request: kv_pb2.GetRequest, context: grpc.aio.ServicerContext) -> kv_pb2.GetResponse:
        requests.get(request)
        fields: dict[str, Any] = {"kind": kv_pb2.OPERATION_KIND_GET, "key": request.key}
        result = await self._execute(fields, context, Effect.READ)
        if result.code == _NOT_FOUND:
            raise NotFound(request.key)
        if result.omitted_bytes:
            with await self._answers.reserve(limits.MAX_VALUE_BYTES, context.peer()):
                return await self._client.raw_get(request, timeout=self._remaining(context))
        found = fields_of(Record.unpacked(request.key, result.packed) if result.packed else result)
        return kv_pb2.GetResponse(record=records_pb2.Record(key=request.key, **found))

    @override
    async def Put(self, request: kv_pb2.PutRequest, context: grpc.aio.ServicerContext) -> kv_pb2.PutResponse:
        requests.put(request)
        fields: dict[str, Any] = {
            "kind": kv_pb2.OPERATION_KIND_PUT,
            "key": request.key,
            "value": request.value,
            "precondition": request.precondition,
            "if_etag": request.if_etag,
            "ttl_ms": request.ttl_ms,
        }
        result = await self._execute(fields, context, Effect.of_write(request.precondition))
        return kv_pb2.PutResponse(etag=result.etag)

    @override
    async def Delete(self, request: kv_pb2.DeleteRequest, context: grpc.aio.ServicerContext) -> kv_pb2.DeleteResponse:
        requests.delete(request)
        fields: dict[str, Any] = {
            "kind": kv_pb2.OPERATION_KIND_DELETE,
            "key": request.key,
            "precondition": request.precondition,
            "if_etag": request.if_etag,
        }
        result = await self._execute(fields, context, Effect.of_write(request.precondition))
        if result.code == _NOT_FOUND:
            raise NotFound(request.key)
        return kv_pb2.DeleteResponse(etag=result.etag)

    @override
    async def Scan(self, request: kv_pb2.ScanRequest, context: grpc.aio.ServicerContext) -> kv_pb2.ScanResponse:
        requests.scan(request)
        with await self._answers.reserve(limits.MAX_SCAN_BYTES, context.peer()):
            return await self._client.raw_page(request, timeout=self._remaining(context))

    @override
    async def ScanPages(  # type: ignore[override] # it writes through the context
        self, request: kv_pb2.ScanRequest, context: grpc.aio.ServicerContext
    ) -> None:
        requests.scan(request)
        pages = self._client.raw_pages(request, timeout=self._seconds)
        while pages.more:
            with await self._answers.reserve(PART_RESERVED_BYTES, context.peer()) as lease:
                await self._pass_on(pages, lease, context)

    @override
    async def BulkInsert(
        self, request: kv_pb2.BulkInsertRequest, context: grpc.aio.ServicerContext
    ) -> kv_pb2.BulkInsertResponse:
        requests.bulk_insert(request)
        return await self._client.raw_bulk_insert(request, timeout=self._remaining(context))

    @override
    async def Execute(  # type: ignore[override] # it reads and writes through the context
        self, request_iterator: AsyncIterator[kv_pb2.ExecuteRequest], context: grpc.aio.ServicerContext
    ) -> None:
        handle, answers = self._forwarder.handle, self._answers
        await ExecuteStream(handle, self._drain, answers, context, observer=self._observer, sampler=self._sampler).run()

    async def _execute(
        self, fields: dict[str, Any], context: grpc.aio.ServicerContext, effect: Effect
    ) -> kv_pb2.OperationResult:
        size = len(fields["key"]) + len(fields.get("value", b""))
        deadline = self._client.deadline(self._remaining(context))
        return await self._client.execute(fields, size, deadline, effect)

    async def _pass_on(self, pages: Pages, lease: Lease, context: grpc.aio.ServicerContext) -> None:
        """Forwards pages while there is room. When a page has to wait for room, the stream to the node ends: otherwise the node
        would hold answers for a router whose room waits for answers of the same node.
        """
        async with aclosing(aiter(pages)) as responses:
            async for page in responses:
                await self._answers.write(context, serialized(page), lease)
                if not self._answers.has_room(PART_RESERVED_BYTES):
                    return
                lease.resize(PART_RESERVED_BYTES)

    def _remaining(self, context: grpc.aio.ServicerContext) -> float:
        remaining = context.time_remaining()
        return self._seconds if remaining is None else min(self._seconds, remaining * ROUTER_SHARE)
