"""Traces that pass through the router, and those that it begins."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from kit.map_entries import map_entry
from kit.routing import routing
from kit.scripted import ScriptedServer, found, scripted

from dstk.v1 import kv_pb2, kv_pb2_grpc, topology_pb2
from dstk_keytypes import Key
from dstk_service.errors import NotServing
from dstk_service.rpc_events import OperationsEnded, RpcEnded, TracedOperation
from dstk_service.testing import EverySampler, RecordingObserver, eventually
from dstk_service.trace import TRACEPARENT, TraceContext
from dstk_service.transport.grpc_connector import GRPC

A, B = Key.text("a"), Key.text("b")
MINE = TraceContext(b"t" * 16, b"s" * 8, sampled=True)


@pytest.fixture
async def node() -> AsyncIterator[ScriptedServer]:
    async with scripted() as server:
        server.script(A, found())
        server.script(B, found())
        yield server


def map_of(node: ScriptedServer) -> topology_pb2.TopologyUpdate:
    nodes = [topology_pb2.Node(id="n", address=node.address)]
    return topology_pb2.TopologyUpdate(revision=1, full=True, partitions=[map_entry(1, primary="n")], nodes=nodes)


def gets(*contexts: bytes | None) -> kv_pb2.ExecuteRequest:
    """Gets of A, B, ..., some of them with a context."""
    operations = [kv_pb2.Operation(kind=kv_pb2.OPERATION_KIND_GET, key=key) for key in (A, B)]
    traces = [kv_pb2.OperationTrace(operation=at, context=each) for at, each in enumerate(contexts) if each is not None]
    return kv_pb2.ExecuteRequest(id=1, operations=operations, traces=traces)


async def execute(address: str, request: kv_pb2.ExecuteRequest) -> kv_pb2.ExecuteResponse:
    async with GRPC.connect(address) as channel:
        stream: Any = kv_pb2_grpc.KeyValueStub(channel).Execute()
        await stream.write(request)
        response: kv_pb2.ExecuteResponse = await stream.read()
        stream.cancel()
        return response


async def traced(observer: RecordingObserver) -> list[TracedOperation]:
    await eventually(lambda: observer.of(OperationsEnded))
    return [each for message in observer.of(OperationsEnded) for each in message.traced or ()]


async def test_the_context_of_an_operation_goes_on_to_its_node(node: ScriptedServer) -> None:
    observer = RecordingObserver()
    async with routing(map_of(node), observer) as router:
        await execute(router, gets(None, MINE.encoded()))
    (operation,) = await traced(observer)
    assert (operation.at, operation.span.parent) == (1, MINE.span_id)
    ((at, context),) = node.traces
    assert context == operation.span.context
    assert node.asked[-2 + at].key == B


@pytest.mark.parametrize("bad", [b"", b"short", bytes(25), bytes(26), b"x" * 1000])
async def test_a_context_that_cannot_be_read_fails_nothing(node: ScriptedServer, bad: bytes) -> None:
    observer = RecordingObserver()
    request = gets(bad)
    request.traces.add(operation=4_000_000_000, context=MINE.encoded())
    async with routing(map_of(node), observer) as router:
        response = await execute(router, request)
    assert [each.code for each in response.results] == [0, 0]
    assert not await traced(observer)
    assert not node.traces


async def test_attempts_of_the_router_are_in_the_trace(node: ScriptedServer) -> None:
    node.script(A, NotServing("a handover is under way", 0.0), found())
    async with routing(map_of(node)) as router:
        await execute(router, gets(MINE.encoded()))
    assert [context and context.trace_id for _, context in node.traces] == [MINE.trace_id] * 2


async def test_the_router_begins_traces_for_callers_that_have_none(node: ScriptedServer) -> None:
    observer = RecordingObserver()
    async with routing(map_of(node), observer, EverySampler()) as router:
        await execute(router, gets())
        async with GRPC.connect(router) as channel:
            await kv_pb2_grpc.KeyValueStub(channel).Get(kv_pb2.GetRequest(key=A))
    (operation,) = await traced(observer)
    assert (operation.at, operation.span.parent) == (0, None)
    call = next(each for each in observer.of(RpcEnded) if each.method == "Get")
    assert call.span is not None
    assert call.span.parent is None
    ids = [context and context.trace_id for _, context in node.traces]
    assert ids == [operation.span.context.trace_id, call.span.context.trace_id]


async def test_the_context_of_a_unary_call_goes_on_to_the_node(node: ScriptedServer) -> None:
    observer = RecordingObserver()
    async with routing(map_of(node), observer) as router, GRPC.connect(router) as channel:
        metadata = ((TRACEPARENT, MINE.traceparent),)
        await kv_pb2_grpc.KeyValueStub(channel).Get(kv_pb2.GetRequest(key=A), metadata=metadata)
        node.pages.append(kv_pb2.ScanResponse())
        pages = kv_pb2_grpc.KeyValueStub(channel).ScanPages(kv_pb2.ScanRequest(limit=10), metadata=metadata)
        assert len([page async for page in pages]) == 1
    calls = [each.span for each in observer.of(RpcEnded) if each.method in {"Get", "ScanPages"}]
    assert [each and each.parent for each in calls] == [MINE.span_id] * 2
    assert {context and context.trace_id for context in (*node.calls, node.traces[0][1])} == {MINE.trace_id}
