"""A real gRPC server and real calls: health, reflection, errors as statuses, guard, drain."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from grpc._cython.cygrpc import ExecuteBatchError
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2
from kit.servers import EmptyAdmin, listening

from dstk.v1 import (
    kv_pb2,
    kv_pb2_grpc,
    replication_pb2_grpc,
    topology_pb2,
    topology_pb2_grpc,
)
from dstk.v1 import replication_pb2 as replication
from dstk_keytypes import Key
from dstk_keytypes.limits import MAX_KEY_BYTES, MAX_MESSAGE_BYTES
from dstk_service.drain import Drain
from dstk_service.errors import InvalidArgument, NotFound
from dstk_service.status import from_rpc_error
from dstk_service.transport.grpc_connector import GRPC
from dstk_service.transport.grpc_server import GrpcServer


class Answering(kv_pb2_grpc.KeyValueServicer):
    """Get: by key; Execute: echoes ids until the caller or the drain ends it."""

    def __init__(self, drain: Drain) -> None:
        self.drain = drain
        self.under_way = asyncio.Event()

    async def Get(self, request: kv_pb2.GetRequest, context: Any) -> kv_pb2.GetResponse:
        match request.key:
            case b"broken":
                raise ZeroDivisionError("a secret of the inside")
            case b"cancelled":
                raise ExecuteBatchError("an operation of a call that is over")
            case b"cut off":
                raise grpc.aio.InternalError("Failed execute_batch")
            case b"typed":
                Key(b"")
            case b"slow":
                self.under_way.set()
                await asyncio.sleep(0.3)
                return kv_pb2.GetResponse()
        raise NotFound(request.key)

    async def Execute(self, request_iterator: Any, context: Any) -> None:
        with self.drain.stream():
            while (request := await context.read()) is not grpc.aio.EOF:
                await context.write(kv_pb2.ExecuteResponse(id=request.id))


class Endless(topology_pb2_grpc.TopologyServicer):
    async def Watch(self, request: Any, context: Any) -> AsyncIterator[topology_pb2.TopologyUpdate]:
        yield topology_pb2.TopologyUpdate(revision=1)
        await asyncio.Event().wait()


class Echoing(replication_pb2_grpc.ReplicationServicer):
    async def Append(self, request_iterator: Any, context: Any) -> None:
        while (request := await context.read()) is not grpc.aio.EOF:
            await context.write(replication.AppendResponse(id=request.id))

    async def Heartbeat(self, request: Any, context: Any) -> replication.HeartbeatResponse:
        return replication.HeartbeatResponse()


@asynccontextmanager
async def served() -> AsyncIterator[tuple[GrpcServer, grpc.aio.Channel, Answering]]:
    server = GrpcServer("127.0.0.1:0")
    answering = Answering(server.drain)
    services = listening(server, KeyValue=answering, Topology=Endless(), Admin=EmptyAdmin(), Replication=Echoing())
    async with services as address, GRPC.connect(address) as channel:
        yield server, channel, answering


async def failure(call: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


async def test_health_says_not_serving_until_told_and_knows_each_service() -> None:
    async with served() as (server, channel, _):
        health = health_pb2_grpc.HealthStub(channel)
        for name in ("", "dstk.v1.KeyValue", "dstk.v1.Topology", "dstk.v1.Admin"):
            request = health_pb2.HealthCheckRequest(service=name)
            assert (await health.Check(request)).status == health_pb2.HealthCheckResponse.NOT_SERVING
        await server.set_serving(serving=True)
        assert (await health.Check(request)).status == health_pb2.HealthCheckResponse.SERVING
        unknown = await failure(health.Check(health_pb2.HealthCheckRequest(service="dstk.v1.Nobody")))
        assert unknown.code() == grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
async def test_a_caller_without_stubs_finds_the_contract_by_reflection(version: str) -> None:
    async with served() as (_, channel, _):
        call = channel.stream_stream(
            f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
            request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
            response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
        )
        asked = [reflection_pb2.ServerReflectionRequest(list_services="")]
        (answer,) = [answer async for answer in call(iter(asked))]
        names = {service.name for service in answer.list_services_response.service}
        assert {"dstk.v1.KeyValue", "dstk.v1.Topology", "dstk.v1.Admin", "grpc.health.v1.Health"} <= names
        symbols = [*sorted(names), "dstk.v1.KeyValue.Put", "dstk.v1.PutRequest.key"]
        asked = [reflection_pb2.ServerReflectionRequest(file_containing_symbol=name) for name in symbols]
        described = [answer async for answer in call(iter(asked))]
    assert len(described) == len(symbols)
    assert {f"grpc.reflection.{each}.ServerReflection" for each in ("v1", "v1alpha")} <= names
    assert all(each.file_descriptor_response.file_descriptor_proto for each in described)


@pytest.mark.parametrize("size", [1, 100, MAX_KEY_BYTES])
async def test_an_error_of_ours_arrives_whatever_the_size_of_the_key_that_it_names(size: int) -> None:
    """The status travels in trailers, which gRPC refuses beyond 8 KiB; it begins to refuse at random below that."""
    key = b"\xff" * size
    async with served() as (_, channel, _):
        stub = kv_pb2_grpc.KeyValueStub(channel)
        for _ in range(30):
            error = await failure(stub.Get(kv_pb2.GetRequest(key=key)))
            assert error.code() == grpc.StatusCode.NOT_FOUND
            ours = from_rpc_error(error)
            assert isinstance(ours, NotFound)
            assert ours.key == key


async def test_invalid_input_of_the_key_types_becomes_an_invalid_argument() -> None:
    async with served() as (_, channel, _):
        error = await failure(kv_pb2_grpc.KeyValueStub(channel).Get(kv_pb2.GetRequest(key=b"typed")))
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    ours = from_rpc_error(error)
    assert isinstance(ours, InvalidArgument)
    assert ours.field == "key"


async def test_a_defect_is_logged_with_its_traceback_and_hidden_from_the_caller(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with served() as (_, channel, _):
        error = await failure(kv_pb2_grpc.KeyValueStub(channel).Get(kv_pb2.GetRequest(key=b"broken")))
    assert error.code() == grpc.StatusCode.INTERNAL
    assert "secret" not in (error.details() or "")
    assert "a secret of the inside" in caplog.text


async def test_a_connection_that_breaks_under_an_answer_is_no_defect(caplog: pytest.LogCaptureFixture) -> None:
    async with served() as (_, channel, _):
        await failure(kv_pb2_grpc.KeyValueStub(channel).Get(kv_pb2.GetRequest(key=b"cut off")))
    assert "unexpected" not in caplog.text


async def test_a_call_that_is_given_up_under_an_answer_leaves_no_line(caplog: pytest.LogCaptureFixture) -> None:
    async with served() as (_, channel, _):
        await failure(kv_pb2_grpc.KeyValueStub(channel).Get(kv_pb2.GetRequest(key=b"cancelled"), timeout=0.5))
    assert not caplog.records


async def test_a_message_over_the_limit_is_refused_by_name_before_it_is_parsed() -> None:
    async with served() as (_, channel, _):
        big = kv_pb2.GetRequest(key=bytes(MAX_MESSAGE_BYTES))
        ours = from_rpc_error(await failure(kv_pb2_grpc.KeyValueStub(channel).Get(big)))
    assert isinstance(ours, InvalidArgument)
    assert ours.field == "message"
    assert str(MAX_MESSAGE_BYTES) in ours.limit


async def test_two_servers_on_one_port_is_an_error_that_says_so() -> None:
    first, second = GrpcServer("127.0.0.1:0"), None
    address = await first.start()
    try:
        second = GrpcServer(address)
        with pytest.raises(OSError, match="Is the port taken"):
            await second.start()
    finally:
        await first.stop(0)


async def test_a_stop_ends_streams_at_once_and_lets_calls_under_way_end() -> None:
    async with served() as (server, channel, answering):
        keyvalue = kv_pb2_grpc.KeyValueStub(channel)
        lane = keyvalue.Execute()
        await lane.write(kv_pb2.ExecuteRequest(id=7))
        assert (await lane.read()).id == 7
        watch = topology_pb2_grpc.TopologyStub(channel).Watch(topology_pb2.WatchRequest())
        assert (await watch.read()).revision == 1
        health = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        await health.read()
        slow = asyncio.ensure_future(keyvalue.Get(kv_pb2.GetRequest(key=b"slow")))
        await answering.under_way.wait()
        begun = time.monotonic()
        await server.stop(grace=60)
        assert time.monotonic() - begun < 60, "it waits for calls, and not for the time that they have"
        assert await slow == kv_pb2.GetResponse()
        assert await lane.read() is grpc.aio.EOF
        assert await lane.code() == grpc.StatusCode.OK
        assert await watch.read() is grpc.aio.EOF
