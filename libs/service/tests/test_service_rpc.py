"""What observers are told of calls: by a meter on a manual clock, and by a real server for real calls."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from kit.observers import BreakingObserver
from kit.servers import EmptyAdmin, listening

from dstk.v1 import admin_pb2, admin_pb2_grpc, kv_pb2, kv_pb2_grpc, records_pb2, topology_pb2, topology_pb2_grpc
from dstk_service.errors import EtagMismatched, NotFound, Overloaded, WriteAmbiguous
from dstk_service.observe import Observer, Observers
from dstk_service.outcomes import OutcomeClass
from dstk_service.rpc import RpcMeter
from dstk_service.rpc_events import OperationKind, OperationsEnded, RpcEnded
from dstk_service.testing import ManualClock, RecordingObserver, eventually
from dstk_service.transport.credentials import OperatorCredentials
from dstk_service.transport.grpc_connector import GRPC
from dstk_service.transport.grpc_server import GrpcServer

ERRORS = {
    b"missing": NotFound(b"missing"),
    b"changed": EtagMismatched(7),
    b"busy": Overloaded("too much", 0.1),
    b"lost": WriteAmbiguous("the disk"),
    b"defect": ZeroDivisionError(),
}


class FailingByKey(kv_pb2_grpc.KeyValueServicer):
    """Get: fails by key, or answers."""

    async def Get(self, request: kv_pb2.GetRequest, context: Any) -> kv_pb2.GetResponse:
        if request.key == b"endless":
            await asyncio.Event().wait()
        if (error := ERRORS.get(request.key)) is not None:
            raise error
        return kv_pb2.GetResponse(record=records_pb2.Record(key=request.key, value=bytes(100)))


class Updates(topology_pb2_grpc.TopologyServicer):
    """Two updates, then the end."""

    async def Watch(self, request: Any, context: Any) -> AsyncIterator[topology_pb2.TopologyUpdate]:
        for revision in (1, 2):
            yield topology_pb2.TopologyUpdate(revision=revision)


@asynccontextmanager
async def observed(observer: Observer, token: str | None = None) -> AsyncIterator[grpc.aio.Channel]:
    server = GrpcServer("127.0.0.1:0", operator=OperatorCredentials(token), observer=observer)
    services = listening(server, KeyValue=FailingByKey(), Topology=Updates(), Admin=EmptyAdmin())
    async with services as address, GRPC.connect(address) as channel:
        yield channel


async def told(observer: RecordingObserver, count: int = 1) -> list[RpcEnded]:
    """What was told of the calls, once there are so many: an answer may reach its caller first."""
    await eventually(lambda: len(observer.of(RpcEnded)) >= count)
    return observer.of(RpcEnded)


async def test_a_meter_tells_how_long_the_handler_ran_and_lets_its_exception_pass() -> None:
    clock, observer = ManualClock(), RecordingObserver()
    meter = RpcMeter("/dstk.v1.KeyValue/Put", observer, streaming=False, monotonic=clock.monotonic)
    with meter.call(None, 120) as rpc:
        await clock.advance(1.5)
        rpc.response_bytes = 9
    failing = meter.call(None, 50)
    await clock.advance(0.25)
    with pytest.raises(WriteAmbiguous), failing:
        raise WriteAmbiguous("the disk")
    common = ("dstk.v1.KeyValue", "Put")
    assert observer.events == [
        RpcEnded(*common, "OK", OutcomeClass.OK, pytest.approx(1.5), False, 120, 9),
        RpcEnded(*common, "UNKNOWN", OutcomeClass.SERVER, pytest.approx(0.25), False, 50, 0),
    ]


@pytest.mark.parametrize("error", [asyncio.CancelledError(), grpc.aio.InternalError("the caller has gone")])
def test_a_caller_that_goes_away_is_its_own_doing(error: BaseException) -> None:
    observer = RecordingObserver()
    with pytest.raises(type(error)), RpcMeter("/a/B", observer, streaming=True).call(None):
        raise error
    (event,) = observer.of(RpcEnded)
    assert (event.code, event.outcome) == ("CANCELLED", OutcomeClass.CLIENT)


@pytest.mark.parametrize("code", [grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.RESOURCE_EXHAUSTED])
def test_a_handler_that_aborts_by_itself_has_the_code_that_it_gave(code: grpc.StatusCode) -> None:
    observer = RecordingObserver()
    for given in (code, code.value[0]):
        context = SimpleNamespace(code=lambda given=given: given)
        with pytest.raises(grpc.aio.AbortError), RpcMeter("/a/B", observer, streaming=False).call(context):
            raise grpc.aio.AbortError
    assert [event.code for event in observer.of(RpcEnded)] == [code.name] * 2


async def test_a_call_that_is_answered_is_told_with_its_sizes() -> None:
    observer = RecordingObserver()
    request = kv_pb2.GetRequest(key=b"some key")
    async with observed(observer) as channel:
        response = await kv_pb2_grpc.KeyValueStub(channel).Get(request)
        (event,) = await told(observer)
    assert (event.service, event.method, event.code) == ("dstk.v1.KeyValue", "Get", "OK")
    assert (event.outcome, event.streaming) == (OutcomeClass.OK, False)
    assert (event.request_bytes, event.response_bytes) == (request.ByteSize(), response.ByteSize())
    assert 0 < event.seconds < 60


@pytest.mark.parametrize(
    ("key", "code", "outcome"),
    [
        (b"missing", "NOT_FOUND", OutcomeClass.OK),
        (b"changed", "ABORTED", OutcomeClass.CLIENT),
        (b"busy", "RESOURCE_EXHAUSTED", OutcomeClass.REFUSED),
        (b"lost", "UNKNOWN", OutcomeClass.SERVER),
        (b"defect", "INTERNAL", OutcomeClass.SERVER),
    ],
)
async def test_a_call_that_fails_is_told_once_with_the_code_that_its_caller_sees(
    key: bytes, code: str, outcome: OutcomeClass
) -> None:
    observer = RecordingObserver()
    async with observed(observer) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await kv_pb2_grpc.KeyValueStub(channel).Get(kv_pb2.GetRequest(key=key))
        (event,) = await told(observer)
    assert (event.code, event.outcome) == (code, outcome)
    assert caught.value.code().name == code
    assert (event.request_bytes, event.response_bytes) == (kv_pb2.GetRequest(key=key).ByteSize(), 0)


async def test_a_call_that_its_caller_gives_up_is_told_as_cancelled() -> None:
    observer = RecordingObserver()
    async with observed(observer) as channel:
        with pytest.raises(grpc.aio.AioRpcError):
            await kv_pb2_grpc.KeyValueStub(channel).Get(kv_pb2.GetRequest(key=b"endless"), timeout=0.1)
        (event,) = await told(observer)
    assert (event.code, event.outcome) == ("CANCELLED", OutcomeClass.CLIENT)


async def test_a_stream_is_told_once_when_it_ends() -> None:
    observer = RecordingObserver()
    async with observed(observer) as channel:
        watch = topology_pb2_grpc.TopologyStub(channel).Watch(topology_pb2.WatchRequest())
        assert [update.revision async for update in watch] == [1, 2]
        (event,) = await told(observer)
    assert (event.service, event.method, event.code, event.streaming) == ("dstk.v1.Topology", "Watch", "OK", True)
    assert (event.request_bytes, event.response_bytes) == (0, 0)


async def test_a_refusal_by_the_guard_and_a_handler_of_grpc_itself_are_told_too() -> None:
    observer = RecordingObserver()
    async with observed(observer, "secret") as channel:
        with pytest.raises(grpc.aio.AioRpcError):
            await admin_pb2_grpc.AdminStub(channel).ListNodes(admin_pb2.ListNodesRequest())
        await told(observer)
        health = health_pb2_grpc.HealthStub(channel)
        with pytest.raises(grpc.aio.AioRpcError):
            await health.Check(health_pb2.HealthCheckRequest(service="dstk.v1.Nobody"))
        guarded, checked = await told(observer, 2)
    assert (guarded.method, guarded.code, guarded.outcome) == ("ListNodes", "PERMISSION_DENIED", OutcomeClass.CLIENT)
    assert (checked.service, checked.method) == ("grpc.health.v1.Health", "Check")
    assert (checked.code, checked.outcome) == ("NOT_FOUND", OutcomeClass.OK)


async def test_a_message_that_cannot_be_read_is_told_with_its_size() -> None:
    observer = RecordingObserver()
    async with observed(observer) as channel:
        get = channel.unary_unary("/dstk.v1.KeyValue/Get")
        with pytest.raises(grpc.aio.AioRpcError):
            await get(b"\xff" * 33)
        (event,) = await told(observer)
    assert (event.code, event.request_bytes) == ("INVALID_ARGUMENT", 33)


async def test_an_observer_that_raises_changes_no_answer() -> None:
    observer = RecordingObserver()
    async with observed(Observers(BreakingObserver(), observer)) as channel:
        assert (await kv_pb2_grpc.KeyValueStub(channel).Get(kv_pb2.GetRequest(key=b"k"))).record.key == b"k"
        await told(observer)


def test_the_event_of_a_message_counts_how_its_operations_failed() -> None:
    tally = OperationsEnded(begun=10.0)
    assert tally.failed is None
    tally.fail(OperationKind.GET, OutcomeClass.OK)
    tally.fail(OperationKind.GET, OutcomeClass.REFUSED)
    tally.fail(OperationKind.PUT, OutcomeClass.CLIENT)
    tally.fail(OperationKind.GET, OutcomeClass.REFUSED)
    failed = {(OperationKind.GET, OutcomeClass.REFUSED): 2, (OperationKind.PUT, OutcomeClass.CLIENT): 1}
    assert tally.failed == failed


def test_gets_and_scans_are_no_writes() -> None:
    assert {kind for kind in OperationKind if not kind.is_write} == {OperationKind.GET, OperationKind.SCAN}
