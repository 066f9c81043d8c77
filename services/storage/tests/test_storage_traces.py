"""Traces in a storage node: operations, their batches, and what goes to the followers."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest
from kit.owners import NoOwners
from kit.peers import ME, PATIENT, B, GrpcNodes, Recorder, stands_at
from kit.servers import listening
from kit.stores import assignment, put, running_store

from dstk.v1 import kv_pb2, kv_pb2_grpc, records_pb2
from dstk_keytypes import KeyRange, PartitionId
from dstk_service.clock import SystemClock
from dstk_service.rpc_events import OperationsEnded, RpcEnded, TracedOperation
from dstk_service.testing import RecordingObserver, eventually
from dstk_service.trace import MOST_FOLLOWED_A_SECOND, TRACEPARENT, NeverSampler, TraceContext, within
from dstk_service.transport.grpc_connector import GRPC
from dstk_service.transport.grpc_server import GrpcServer
from dstk_storage.adapters.memory import MemoryEngine
from dstk_storage.adapters.peer_events import EntryReceived, EntrySent, PeerCalled
from dstk_storage.domain.batch import Batch
from dstk_storage.domain.batch_trace import Tracing
from dstk_storage.domain.errors import CommitFailed
from dstk_storage.domain.events import BatchEnded
from dstk_storage.domain.history import START
from dstk_storage.domain.log import Entry
from dstk_storage.domain.replication.ports import Append, PeerUnreachable
from dstk_storage.servicers.keyvalue import KeyValueServicer
from dstk_storage.servicers.translate import Translator

GET, PUT, DELETE = kv_pb2.OPERATION_KIND_GET, kv_pb2.OPERATION_KIND_PUT, kv_pb2.OPERATION_KIND_DELETE
LOWER, UPPER = PartitionId(1), PartitionId(2)
MINE = TraceContext(b"t" * 16, b"s" * 8, sampled=True)
YOURS = TraceContext(b"u" * 16, b"r" * 8, sampled=True)
Request = kv_pb2.Operation


@dataclass
class TracedStore:
    """Serves partition 1 below "m", and partition 2 from there on."""

    stub: Any
    observer: RecordingObserver

    async def execute(
        self, *operations: kv_pb2.Operation, traces: dict[int, TraceContext]
    ) -> tuple[Sequence[kv_pb2.OperationResult], Sequence[TracedOperation]]:
        """The results of one message, and its traced operations."""
        stream = self.stub.Execute()
        sent = [kv_pb2.OperationTrace(operation=at, context=each.encoded()) for at, each in traces.items()]
        await stream.write(kv_pb2.ExecuteRequest(id=1, operations=operations, traces=sent))
        await stream.done_writing()
        results = [result async for response in stream for result in response.results]
        await eventually(lambda: self.observer.of(OperationsEnded))
        return results, self.observer.of(OperationsEnded)[-1].traced or ()


@pytest.fixture
async def node() -> AsyncIterator[TracedStore]:
    parts, observer = (assignment(LOWER, end=b"m"), assignment(UPPER, b"m")), RecordingObserver()
    async with running_store(MemoryEngine(), *parts, observer=observer) as store:
        server = GrpcServer("127.0.0.1:0", observer=observer)
        translate = Translator(NoOwners())
        servicer = KeyValueServicer(
            store, store.writer, SystemClock(), translate, server.drain, server.answers, observer, NeverSampler()
        )
        async with listening(server, KeyValue=servicer) as address, GRPC.connect(address) as channel:
            yield TracedStore(kv_pb2_grpc.KeyValueStub(channel), observer)


def a_put(key: bytes, **fields: Any) -> kv_pb2.Operation:
    return Request(kind=PUT, key=key, value=b"v", **fields)


async def test_a_batch_is_in_the_trace_of_its_first_operation_and_links_to_all(node: TracedStore) -> None:
    _, (first, second) = await node.execute(a_put(b"a"), a_put(b"b"), a_put(b"c"), traces={0: MINE, 2: YOURS})
    (batch,) = node.observer.of(BatchEnded)
    assert (first.span.parent, second.span.parent) == (MINE.span_id, YOURS.span_id)
    assert batch.span.context.trace_id == MINE.trace_id
    assert batch.span.parent == first.span.context.span_id
    assert batch.operations == [first.span.context, second.span.context]
    assert first.batch == second.batch == batch.span.context
    assert (batch.partition, batch.records, batch.failure) == (LOWER, 3, "")
    assert list(batch.spent) == ["GATHERING", "PROPOSED", "REPLICATED"]
    assert sum(batch.spent.values()) == pytest.approx(batch.seconds)


async def test_each_partition_has_a_batch_of_its_own(node: TracedStore) -> None:
    _, traced = await node.execute(a_put(b"a"), a_put(b"n"), traces={0: MINE, 1: YOURS})
    batches = {batch.partition: batch for batch in node.observer.of(BatchEnded)}
    assert [each.partition for each in traced] == [LOWER, UPPER]
    assert [each.batch for each in traced] == [batches[each].span.context for each in (LOWER, UPPER)]
    assert batches[UPPER].span.context.trace_id == YOURS.trace_id


async def test_what_becomes_of_each_operation_is_noted(node: TracedStore) -> None:
    absent = records_pb2.PRECONDITION_IF_ABSENT
    operations = (
        a_put(b"a"),
        a_put(b"a", precondition=absent),
        Request(kind=GET, key=b"x"),
        Request(kind=DELETE, key=b"a"),
    )
    results, traced = await node.execute(*operations, traces=dict.fromkeys(range(4), MINE))
    assert [each.code for each in traced] == [result.code for result in results] == [0, 6, 5, 0]
    assert [each.batch is not None for each in traced] == [True, False, False, True]


async def test_untraced_operations_tell_nothing(node: TracedStore) -> None:
    _, traced = await node.execute(a_put(b"a"), Request(kind=GET, key=b"a"), traces={})
    assert not traced
    assert not node.observer.of(BatchEnded)


async def test_the_parts_of_a_large_answer_are_all_noted(node: TracedStore) -> None:
    large = Request(kind=PUT, key=b"a", value=bytes(900_000))
    await node.execute(large, traces={})
    reads = [Request(kind=GET, key=b"a")] * 5 + [Request(kind=GET, key=b"none")]
    results, traced = await node.execute(*reads, traces={0: MINE, 5: YOURS})
    assert len(results) == 6
    assert [each.code for each in traced] == [0, 5]


@pytest.mark.parametrize(
    "garbage", ["", "garbage", "00-" + "0" * 32 + "-" + "0" * 16 + "-01", "ff" + MINE.traceparent[2:], "a" * 4000]
)
async def test_a_traceparent_that_cannot_be_read_fails_nothing(node: TracedStore, garbage: str) -> None:
    await node.stub.Put(kv_pb2.PutRequest(key=b"a", value=b"v"), metadata=((TRACEPARENT, garbage),))
    await eventually(lambda: node.observer.of(RpcEnded))
    assert [each.span for each in node.observer.of(RpcEnded)] == [None]
    assert not node.observer.of(BatchEnded)


async def test_a_caller_that_has_everything_traced_is_followed_at_a_rate(node: TracedStore) -> None:
    puts = [a_put(b"%d" % number) for number in range(1000)]
    for _ in range(3):
        results, _ = await node.execute(*puts, traces=dict.fromkeys(range(1000), MINE))
        assert len(results) == 1000
    messages = node.observer.of(OperationsEnded)
    followed = sum(len(each.traced or ()) for each in messages)
    assert 0 < followed <= MOST_FOLLOWED_A_SECOND * (2 + messages[-1].begun - messages[0].begun)
    assert sum(len(batch.operations) for batch in node.observer.of(BatchEnded)) == followed


@pytest.mark.parametrize(
    ("method", "request_"),
    [
        ("Put", kv_pb2.PutRequest(key=b"a", value=b"v")),
        ("BulkInsert", kv_pb2.BulkInsertRequest(keys=[b"a", b"b"], values=[b"v", b"w"])),
    ],
)
async def test_a_unary_write_and_its_batch_are_in_the_callers_trace(
    node: TracedStore, method: str, request_: Any
) -> None:
    await getattr(node.stub, method)(request_, metadata=((TRACEPARENT, MINE.traceparent),))
    await eventually(lambda: node.observer.of(RpcEnded))
    (call,), (batch,) = node.observer.of(RpcEnded), node.observer.of(BatchEnded)
    assert call.span is not None
    assert (call.span.parent, batch.span.parent) == (MINE.span_id, call.span.context.span_id)


async def test_a_batch_that_fails_says_so_and_since_when() -> None:
    observer, now = RecordingObserver(), [10.0]
    async with running_store(MemoryEngine()) as store:
        etag = put(store, b"k")
        batch = store.table.owner(b"k").pending.batch_of(etag)
        assert isinstance(batch, Batch)
        batch.join(MINE, Tracing(observer, lambda: now[0]))
        now[0] = 12.5
        batch.end(CommitFailed("the test wants it"))
        await store.committer.settle()
    (ended,) = observer.of(BatchEnded)
    assert (ended.failure, ended.seconds, ended.spent) == ("CommitFailed", 2.5, {"GATHERING": 2.5})


@asynccontextmanager
async def one_follower(observer: RecordingObserver) -> AsyncIterator[tuple[GrpcNodes, Recorder]]:
    nodes, recorder = GrpcNodes(PATIENT, observer=observer), Recorder()
    await nodes.start(B, recorder)
    try:
        yield nodes, recorder
    finally:
        await nodes.close()


def traced_append(trace: TraceContext | None) -> Append:
    return Append(LOWER, 1, KeyRange(), [Entry(START, 1, 1, [b"k"], [bytes(18)], trace)])


async def test_an_entry_takes_its_trace_to_the_follower_and_through_it() -> None:
    observer = RecordingObserver()
    async with one_follower(observer) as (nodes, recorder):
        await nodes.peers.append(B, [traced_append(MINE)])
        await eventually(lambda: observer.of(EntryReceived))
    (sent,), (received,) = observer.of(EntrySent), observer.of(EntryReceived)
    arrived = recorder.groups[0][0].entries[0].trace
    assert (sent.node, sent.partition, sent.failure, received.failure) == (B, LOWER, "", "")
    chain = [MINE.span_id, sent.span.context.span_id, received.span.context.span_id]
    assert [sent.span.parent, received.span.parent, arrived and arrived.span_id] == chain
    assert len({*chain}) == 3
    assert all(before != after for before, after in pairwise(chain))
    assert sent.seconds >= received.seconds > 0


async def test_an_entry_that_is_not_taken_is_told_on_both_sides() -> None:
    observer = RecordingObserver()
    async with one_follower(observer) as (nodes, recorder):
        recorder.answer = stands_at(1, 5)
        await nodes.peers.append(B, [traced_append(MINE)])
        await eventually(lambda: observer.of(EntryReceived))
        await nodes.kill(B)
        with pytest.raises(PeerUnreachable):
            await nodes.peers.append(B, [traced_append(YOURS)])
    assert [each.failure for each in observer.of(EntryReceived)] == ["NotAccepted"]
    assert [each.failure for each in observer.of(EntrySent)] == ["", "PeerUnreachable"]


async def test_untraced_entries_and_calls_tell_nothing() -> None:
    observer = RecordingObserver()
    async with one_follower(observer) as (nodes, recorder):
        await nodes.peers.append(B, [traced_append(None)])
        await nodes.peers.leave(B)
    assert recorder.groups[0][0].entries[0].trace is None
    assert not observer.of(EntrySent)
    assert not observer.of(PeerCalled)


async def test_a_call_to_another_node_is_in_the_trace() -> None:
    observer = RecordingObserver()
    async with one_follower(observer) as (nodes, recorder):
        with within(MINE):
            await nodes.peers.leave(B)
    assert recorder.leaves == [ME]
    (called,), (served,) = observer.of(PeerCalled), [each for each in observer.of(RpcEnded) if each.method == "Leave"]
    assert (called.method, called.node, called.failure, called.span.parent) == ("Leave", B, "", MINE.span_id)
    assert served.span is not None
    assert served.span.parent == called.span.context.span_id
