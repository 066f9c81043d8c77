"""The KeyValue service over the whole key space: checks, finds the node, passes on."""

from collections.abc import AsyncIterator
from typing import Any

import grpc

from dstk.v1 import kv_pb2, kv_pb2_grpc, records_pb2
from dstk_client.core import ROUTER_SHARE, CoreClient
from dstk_client.ranges import record_of
from dstk_client.retries import Effect
from dstk_router.forward import Forwarder
from dstk_service import requests
from dstk_service.drain import Drain
from dstk_service.errors import NotFound
from dstk_service.execute import ExecuteStream

_NOT_FOUND: int = grpc.StatusCode.NOT_FOUND.value[0]


class KeyValueServicer(kv_pb2_grpc.KeyValueServicer):
    """Callers' epochs are not checked here: the router's own are newer."""

    def __init__(self, client: CoreClient, drain: Drain, request_seconds: float) -> None:
        self._client = client
        self._drain = drain
        self._seconds = request_seconds
        self._forwarder = Forwarder(client, request_seconds)

    async def Get(self, request: kv_pb2.GetRequest, context: grpc.aio.ServicerContext) -> kv_pb2.GetResponse:
        """See kv.proto."""
        requests.get(request)
        fields: dict[str, Any] = {"kind": kv_pb2.OPERATION_KIND_GET, "key": request.key}
        result = await self._execute(fields, context, Effect.READ)
        record = record_of(request.key, result)
        if record is None:
            raise NotFound(request.key)
        return kv_pb2.GetResponse(
            record=records_pb2.Record(
                key=request.key,
                value=record.value,
                etag=record.etag,
                written_at_ms=record.written_at_ms,
                expires_at_ms=record.expires_at_ms,
            )
        )

    async def Put(self, request: kv_pb2.PutRequest, context: grpc.aio.ServicerContext) -> kv_pb2.PutResponse:
        """See kv.proto."""
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

    async def Delete(self, request: kv_pb2.DeleteRequest, context: grpc.aio.ServicerContext) -> kv_pb2.DeleteResponse:
        """See kv.proto."""
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

    async def Scan(self, request: kv_pb2.ScanRequest, context: grpc.aio.ServicerContext) -> kv_pb2.ScanResponse:
        """See kv.proto."""
        requests.scan(request)
        return await self._client.raw_page(request, timeout=self._remaining(context))

    async def ScanPages(  # type: ignore[override] # it writes through the context
        self, request: kv_pb2.ScanRequest, context: grpc.aio.ServicerContext
    ) -> None:
        """See kv.proto."""
        requests.scan(request)
        async for response in self._client.raw_pages(request, timeout=self._seconds):
            await context.write(response)

    async def BulkInsert(
        self, request: kv_pb2.BulkInsertRequest, context: grpc.aio.ServicerContext
    ) -> kv_pb2.BulkInsertResponse:
        """See kv.proto."""
        requests.bulk_insert(request)
        return await self._client.raw_bulk_insert(request, timeout=self._remaining(context))

    async def Execute(  # type: ignore[override] # it reads and writes through the context
        self, request_iterator: AsyncIterator[kv_pb2.ExecuteRequest], context: grpc.aio.ServicerContext
    ) -> None:
        """See kv.proto."""
        await ExecuteStream(self._forwarder.handle, self._drain, context).run()

    async def _execute(
        self, fields: dict[str, Any], context: grpc.aio.ServicerContext, effect: Effect
    ) -> kv_pb2.OperationResult:
        size = len(fields["key"]) + len(fields.get("value", b""))
        deadline = self._client.deadline(self._remaining(context))
        return await self._client.execute(fields, size, deadline, effect)

    def _remaining(self, context: grpc.aio.ServicerContext) -> float:
        remaining = context.time_remaining()
        return self._seconds if remaining is None else min(self._seconds, remaining * ROUTER_SHARE)
