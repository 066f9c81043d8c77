"""Operations of callers that fail in each class, through a real server: what the observer is told, and what Admin counts."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from kit.owners import NoOwners
from kit.servers import listening
from kit.stores import assignment, running_store

from dstk.v1 import admin_pb2, kv_pb2, kv_pb2_grpc, records_pb2
from dstk_keytypes import PartitionId
from dstk_service.clock import SystemClock
from dstk_service.observe import Observers
from dstk_service.outcomes import OutcomeClass
from dstk_service.rpc_events import OperationFailed, OperationKind, OperationsEnded
from dstk_service.testing import RecordingObserver, eventually
from dstk_service.transport.grpc_connector import GRPC
from dstk_service.transport.grpc_server import GrpcServer
from dstk_storage.adapters.memory import MemoryEngine
from dstk_storage.application.failure_counters import FailureCounters
from dstk_storage.application.replica_status import failure_counts
from dstk_storage.domain.store import Store
from dstk_storage.ports import Engine
from dstk_storage.servicers.keyvalue import KeyValueServicer
from dstk_storage.servicers.translate import Translator

GET, PUT, DELETE = kv_pb2.OPERATION_KIND_GET, kv_pb2.OPERATION_KIND_PUT, kv_pb2.OPERATION_KIND_DELETE
ABSENT = records_pb2.PRECONDITION_IF_ABSENT
LOWER, UPPER = PartitionId(1), PartitionId(2)
CLIENT, REFUSED, SERVER = OutcomeClass.CLIENT, OutcomeClass.REFUSED, OutcomeClass.SERVER
Request = kv_pb2.Operation


@dataclass
class ServedStore:
    """Serves partition 1 below "m", partition 2 up to "t", and nothing behind it."""

    store: Store
    stub: Any
    observer: RecordingObserver
    counters: FailureCounters

    async def execute(self, *operations: kv_pb2.Operation) -> list[int]:
        """The codes of the results of one message."""
        stream = self.stub.Execute()
        await stream.write(kv_pb2.ExecuteRequest(id=1, operations=operations))
        await stream.done_writing()
        return [result.code async for response in stream for result in response.results]

    async def ended(self) -> OperationsEnded:
        await eventually(lambda: len(self.observer.of(OperationsEnded)) == 1)
        return self.observer.of(OperationsEnded)[0]

    def failed(self) -> list[tuple[PartitionId | None, OperationKind, OutcomeClass]]:
        return [(each.partition, each.kind, each.outcome) for each in self.observer.of(OperationFailed)]

    def quarantine(self) -> None:
        partition = self.store.table.holder(b"a")
        assert partition is not None
        partition.quarantined = True


@asynccontextmanager
async def serving(engine: Engine) -> AsyncIterator[ServedStore]:
    parts = assignment(LOWER, end=b"m", epoch=3), assignment(UPPER, b"m", b"t", epoch=3)
    observer, counters = RecordingObserver(), FailureCounters()
    async with running_store(engine, *parts) as store:
        server = GrpcServer("127.0.0.1:0")
        both = Observers(observer, counters)
        servicer = KeyValueServicer(
            store, store.writer, SystemClock(), Translator(NoOwners()), server.drain, server.answers, both
        )
        async with listening(server, KeyValue=servicer) as address, GRPC.connect(address) as channel:
            yield ServedStore(store, kv_pb2_grpc.KeyValueStub(channel), observer, counters)


@pytest.fixture
async def node(engine: Engine) -> AsyncIterator[ServedStore]:
    async with serving(engine) as made:
        yield made


def scan(start: bytes = b"", end: bytes = b"", *, reverse: bool = False) -> kv_pb2.ScanRequest:
    return kv_pb2.ScanRequest(start=start, end=end, limit=10, reverse=reverse)


UNARY: dict[str, tuple[str, Any, tuple[PartitionId | None, OperationKind, OutcomeClass]]] = {
    "get of a stale epoch": ("Get", kv_pb2.GetRequest(key=b"a", epoch=2), (LOWER, OperationKind.GET, REFUSED)),
    "get of a foreign key": ("Get", kv_pb2.GetRequest(key=b"z"), (None, OperationKind.GET, REFUSED)),
    "get without a key": ("Get", kv_pb2.GetRequest(), (LOWER, OperationKind.GET, CLIENT)),
    "put over a record": (
        "Put",
        kv_pb2.PutRequest(key=b"n", value=b"v", precondition=ABSENT),
        (UPPER, OperationKind.PUT, CLIENT),
    ),
    "put of a foreign key": ("Put", kv_pb2.PutRequest(key=b"z", value=b"v"), (None, OperationKind.PUT, REFUSED)),
    "deletion of a stale epoch": (
        "Delete",
        kv_pb2.DeleteRequest(key=b"n", epoch=9),
        (UPPER, OperationKind.DELETE, REFUSED),
    ),
    "scan without a limit": ("Scan", kv_pb2.ScanRequest(start=b"n"), (UPPER, OperationKind.SCAN, CLIENT)),
    "scan from a foreign key": ("Scan", scan(b"z"), (None, OperationKind.SCAN, REFUSED)),
    "scan backwards": ("Scan", scan(b"", b"m", reverse=True), (LOWER, OperationKind.SCAN, REFUSED)),
    "scan backwards from the last key": ("Scan", scan(reverse=True), (None, OperationKind.SCAN, REFUSED)),
    "bulk insert": (
        "BulkInsert",
        kv_pb2.BulkInsertRequest(keys=[b"n", b"o"], values=[b"v"]),
        (UPPER, OperationKind.BULK_INSERT, CLIENT),
    ),
    "bulk insert of nothing": ("BulkInsert", kv_pb2.BulkInsertRequest(), (LOWER, OperationKind.BULK_INSERT, CLIENT)),
}
UNARY["scan backwards"][1].epoch = 2


@pytest.mark.parametrize(("method", "request_", "expected"), UNARY.values(), ids=UNARY.keys())
async def test_a_call_that_fails_counts_for_the_partition_of_its_key(
    node: ServedStore, method: str, request_: Any, expected: tuple[PartitionId | None, OperationKind, OutcomeClass]
) -> None:
    await node.stub.Put(kv_pb2.PutRequest(key=b"n", value=b"v"))
    with pytest.raises(grpc.aio.AioRpcError):
        await getattr(node.stub, method)(request_)
    assert node.failed() == [expected]


async def test_a_stream_of_pages_counts_where_it_fails_and_not_where_the_range_goes_on_elsewhere(
    node: ServedStore,
) -> None:
    await node.stub.Put(kv_pb2.PutRequest(key=b"n", value=b"v"))
    pages = [page async for page in node.stub.ScanPages(scan(b"a"))]
    assert [key for page in pages for key in page.records.keys] == [b"n"]
    assert node.failed() == []
    with pytest.raises(grpc.aio.AioRpcError):
        [page async for page in node.stub.ScanPages(scan(b"z"))]
    assert node.failed() == [(None, OperationKind.SCAN, REFUSED)]


async def test_a_key_without_a_record_is_an_answer(node: ServedStore) -> None:
    for call in (node.stub.Get(kv_pb2.GetRequest(key=b"a")), node.stub.Delete(kv_pb2.DeleteRequest(key=b"a"))):
        with pytest.raises(grpc.aio.AioRpcError):
            await call
    await node.execute(Request(kind=GET, key=b"a"), Request(kind=DELETE, key=b"a"))
    assert (await node.ended()).failed is None
    assert node.failed() == []


async def test_operations_of_one_message_are_told_apart(node: ServedStore) -> None:
    operations = [
        Request(kind=PUT, key=b"n", value=b"v"),
        Request(kind=PUT, key=b"n", value=b"v", precondition=ABSENT),
        Request(kind=GET, key=b"n"),
        Request(kind=GET, key=b"n", epoch=2),
        Request(kind=GET, key=b"z"),
        Request(kind=DELETE, key=b"n", epoch=2),
        Request(kind=7, key=b"a"),
    ]
    codes = await node.execute(*operations)
    assert len(codes) == len(operations)
    event = await node.ended()
    assert (event.gets, event.puts, event.deletes) == (3, 2, 1)
    assert event.failed == {
        (OperationKind.PUT, CLIENT): 1,
        (OperationKind.GET, REFUSED): 2,
        (OperationKind.DELETE, REFUSED): 1,
        (OperationKind.UNKNOWN, CLIENT): 1,
    }
    assert event.response_bytes > 0
    assert 0 < event.seconds < 10
    assert sorted(map(str, node.failed())) == sorted(
        map(
            str,
            [
                (UPPER, OperationKind.PUT, CLIENT),
                (UPPER, OperationKind.GET, REFUSED),
                (None, OperationKind.GET, REFUSED),
                (UPPER, OperationKind.DELETE, REFUSED),
                (LOWER, OperationKind.UNKNOWN, CLIENT),
            ],
        )
    )


async def test_quarantine_counts_against_the_server(node: ServedStore) -> None:
    node.quarantine()
    await node.execute(Request(kind=GET, key=b"a"), Request(kind=PUT, key=b"a", value=b"v"))
    with pytest.raises(grpc.aio.AioRpcError):
        await node.stub.Scan(scan(b"a"))
    kinds = [OperationKind.GET, OperationKind.PUT, OperationKind.SCAN]
    assert node.failed() == [(LOWER, kind, SERVER) for kind in kinds]
    assert node.counters.reads(LOWER) == {SERVER: 2}
    assert node.counters.writes(LOWER) == {SERVER: 1}


async def test_writes_that_the_disk_loses_count_against_the_server_each_once() -> None:
    engine = MemoryEngine()
    async with serving(engine) as node:
        await node.stub.Put(kv_pb2.PutRequest(key=b"b", value=b"v"))
        engine.failing = True
        codes = await node.execute(
            Request(kind=PUT, key=b"a", value=b"v"),
            Request(kind=GET, key=b"a"),
            Request(kind=PUT, key=b"a", value=b"v", precondition=ABSENT),
        )
        unknown = grpc.StatusCode.UNKNOWN.value[0]
        assert codes == [unknown, grpc.StatusCode.NOT_FOUND.value[0], unknown]
        event = await node.ended()
    assert event.failed == {(OperationKind.PUT, CLIENT): 1, (OperationKind.PUT, SERVER): 1}
    assert node.failed() == [(LOWER, OperationKind.PUT, CLIENT), (LOWER, OperationKind.PUT, SERVER)]


async def test_a_defect_counts_against_the_server(node: ServedStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(node.store, "get", broken)
    with pytest.raises(grpc.aio.AioRpcError):
        await node.stub.Get(kv_pb2.GetRequest(key=b"a"))
    assert node.failed() == [(LOWER, OperationKind.GET, SERVER)]


def test_counters_tell_reads_from_writes_and_partitions_from_what_none_has() -> None:
    counters = FailureCounters()
    count: Callable[..., None] = lambda *fields: counters.observe(OperationFailed(*fields))
    for kind in OperationKind:
        count(LOWER, kind, REFUSED)
    count(None, OperationKind.GET, REFUSED)
    count(None, OperationKind.PUT, CLIENT)
    assert counters.reads(LOWER) == {REFUSED: 2}
    assert counters.writes(LOWER) == {REFUSED: 4}
    assert counters.reads(None) == {REFUSED: 1}
    assert counters.writes(None) == {CLIENT: 1}
    assert counters.reads(UPPER) == {}
    assert failure_counts(counters.reads(LOWER)) == admin_pb2.FailureCounts(refused=2)
    assert failure_counts({CLIENT: 1, REFUSED: 2, SERVER: 3}) == admin_pb2.FailureCounts(client=1, refused=2, server=3)
