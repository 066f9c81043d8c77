"""A bare unary `grpc.aio` echo in a process of its own: the floor under every unary call."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version

import grpc

from dstk.v1 import kv_pb2, kv_pb2_grpc
from dstk_bench.processes import child, free_port, until_ready
from dstk_bench.systems.base import Place, System
from dstk_service import python
from dstk_service.transport.grpc_connector import GRPC
from dstk_service.transport.port import Profile


@asynccontextmanager
async def start(place: Place) -> AsyncIterator[tuple[System, ...]]:
    """Starts the echo server and yields the system `echo`."""
    port, log = free_port(), place.folder("echo") / "log"
    argv = [*python.command("dstk_bench.echo"), str(port)]
    async with child(argv, log) as process, GRPC.connect(f"127.0.0.1:{port}", Profile.DEFAULT) as channel:
        get, put = unary_calls(channel)
        await until_ready("the echo server", process, log, lambda: get(b"key"))
        yield (System("echo", f"bare unary grpc.aio {version('grpcio')}", unary_get=get, unary_put=put),)


UnaryGet = Callable[[bytes], Awaitable[object]]
UnaryPut = Callable[[bytes, bytes], Awaitable[object]]


def unary_calls(channel: grpc.aio.Channel) -> tuple[UnaryGet, UnaryPut]:
    """Get and Put of the public API as plain unary calls over a channel."""
    stub = kv_pb2_grpc.KeyValueStub(channel)

    async def get(key: bytes) -> object:
        return await stub.Get(kv_pb2.GetRequest(key=key))

    async def put(key: bytes, value: bytes) -> object:
        return await stub.Put(kv_pb2.PutRequest(key=key, value=value))

    return get, put
