"""The bare unary `grpc.aio` server: it answers a Get with one fixed record and a Put with one fixed etag.

`python -m dstk_bench.echo PORT`; it is what a unary call costs in Python before any database has done any work.
"""

import asyncio
import signal
import sys
from typing import Any

import grpc
import uvloop

from dstk.v1 import kv_pb2, records_pb2

_VALUE_BYTES = 128


def _handlers() -> Any:
    record = records_pb2.Record(key=b"bench/r/000000000000", value=b"v" * _VALUE_BYTES, etag=1, written_at_ms=1)
    got, put = kv_pb2.GetResponse(record=record), kv_pb2.PutResponse(etag=1)

    async def answer_get(_request: kv_pb2.GetRequest, _context: object) -> kv_pb2.GetResponse:
        return got

    async def answer_put(_request: kv_pb2.PutRequest, _context: object) -> kv_pb2.PutResponse:
        return put

    methods = {
        "Get": _unary(answer_get, kv_pb2.GetRequest, kv_pb2.GetResponse),
        "Put": _unary(answer_put, kv_pb2.PutRequest, kv_pb2.PutResponse),
    }
    return grpc.method_handlers_generic_handler("dstk.v1.KeyValue", methods)


def _unary(answer: Any, request: Any, response: Any) -> Any:
    serialize, deserialize = response.SerializeToString, request.FromString
    return grpc.unary_unary_rpc_method_handler(answer, request_deserializer=deserialize, response_serializer=serialize)


async def serve(port: int) -> None:
    """Serves on loopback until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((_handlers(),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await stop.wait()
    await server.stop(grace=1)


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
