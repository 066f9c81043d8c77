"""What the contract refuses, as any language sees it: raw gRPC to a storage node and to the router, with bad input."""

import asyncio
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from kit.contract import bulk, failure
from kit.process_cluster import ProcessCluster

from dstk.v1 import admin_pb2, admin_pb2_grpc, errors_pb2, kv_pb2, kv_pb2_grpc, records_pb2, topology_pb2_grpc
from dstk.v1.topology_pb2 import WatchRequest
from dstk_client import connect
from dstk_keytypes import Key, KeyRange, limits
from dstk_service.errors import InvalidArgument, NotOwner
from dstk_service.status import from_rpc_error, from_status
from dstk_service.transport.grpc_connector import GRPC
from dstk_service.transport.port import Profile

pytestmark = [pytest.mark.slow]

IF_ETAG = records_pb2.PRECONDITION_IF_ETAG
LONG = bytes(limits.MAX_KEY_BYTES + 1)
BIG = bytes(limits.MAX_VALUE_BYTES + 1)

BAD: list[tuple[str, Any, str, str]] = [
    ("Get", kv_pb2.GetRequest(), "key", "1..1024 bytes"),
    ("Put", kv_pb2.PutRequest(value=b"v"), "key", "1..1024 bytes"),
    ("Put", kv_pb2.PutRequest(key=LONG), "key", "1..1024 bytes"),
    ("Put", kv_pb2.PutRequest(key=b"bad", value=BIG), "value", "1048576"),
    ("Put", kv_pb2.PutRequest(key=b"bad", value=bytes(limits.MAX_MESSAGE_BYTES)), "message", "16777216"),
    ("Put", kv_pb2.PutRequest(key=b"bad", ttl_ms=-1), "ttl_ms", "3155760000000"),
    ("Put", kv_pb2.PutRequest(key=b"bad", precondition=IF_ETAG), "if_etag", "at least 1"),
    ("Delete", kv_pb2.DeleteRequest(key=LONG), "key", "1..1024 bytes"),
    ("Scan", kv_pb2.ScanRequest(), "limit", "1..10000"),
    ("Scan", kv_pb2.ScanRequest(limit=10_001), "limit", "1..10000"),
    ("Scan", kv_pb2.ScanRequest(limit=1, start=b"bad2", end=b"bad1"), "start", "not above end"),
    ("Scan", kv_pb2.ScanRequest(limit=1, start=LONG), "start", "1024"),
    ("BulkInsert", bulk(), "keys", "1..10000"),
    ("BulkInsert", bulk(b"bad2", b"bad1"), "keys[1]", "above the key before"),
    ("BulkInsert", bulk(b"bad", b"bad"), "keys[1]", "above the key before"),
    ("BulkInsert", bulk(b"bad", LONG), "keys[1]", "1..1024"),
    ("BulkInsert", bulk(b"bad", value=BIG), "values[0]", "1048576"),
    ("BulkInsert", bulk(b"bad", ttl_ms=-1), "ttl_ms", "3155760000000"),
]


@pytest.mark.parametrize(("method", "request_", "field", "limit"), BAD, ids=lambda value: str(value)[:20].strip())
async def test_bad_input_is_refused_with_its_field_value_and_limit_and_nothing_is_written(
    stub: Any, method: str, request_: Any, field: str, limit: str
) -> None:
    error = await failure(getattr(stub, method)(request_))
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    detail = errors_pb2.LimitExceeded()
    status = rpc_status.from_call(error)
    assert any(packed.Unpack(detail) for packed in status.details)
    assert detail.field == field
    assert detail.value
    assert limit in detail.limit
    page = await stub.Scan(kv_pb2.ScanRequest(start=b"bad", end=b"bae", limit=10))
    assert not page.records.keys


async def test_an_operation_with_bad_input_fails_alone_in_its_message(stub: Any) -> None:
    put, get = kv_pb2.OPERATION_KIND_PUT, kv_pb2.OPERATION_KIND_GET
    lane = stub.Execute()
    operations = [
        kv_pb2.Operation(kind=put, key=b"alone", value=b"v"),
        kv_pb2.Operation(kind=put),
        kv_pb2.Operation(kind=put, key=b"a", value=BIG),
        kv_pb2.Operation(kind=put, key=b"a", ttl_ms=-1),
        kv_pb2.Operation(key=b"a"),
        kv_pb2.Operation(kind=get, key=LONG),
        kv_pb2.Operation(kind=get, key=b"absent"),
    ]
    await lane.write(kv_pb2.ExecuteRequest(id=5, operations=operations))
    response = await lane.read()
    assert response.id == 5
    assert response.results[0].code == 0
    assert response.results[0].etag
    errors = [from_status(rpc_status.status_pb2.Status.FromString(result.status)) for result in response.results[1:6]]
    assert [error.field for error in errors if isinstance(error, InvalidArgument)] == [
        "key",
        "value",
        "ttl_ms",
        "kind",
        "key",
    ]
    assert response.results[6].code == grpc.StatusCode.NOT_FOUND.value[0]
    await lane.done_writing()
    assert await lane.read() is grpc.aio.EOF


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (kv_pb2.ExecuteRequest(id=1), "operations"),
        (kv_pb2.ExecuteRequest(id=1, operations=[kv_pb2.Operation()] * 4097), "operations"),
        (kv_pb2.ExecuteRequest(operations=[kv_pb2.Operation(value=bytes(1 << 20)) for _ in range(17)]), "message"),
    ],
    ids=["none", "too-many", "too-large"],
)
async def test_a_bad_message_ends_its_lane_with_the_reason(
    stub: Any, request_: kv_pb2.ExecuteRequest, field: str
) -> None:
    lane = stub.Execute()
    await lane.write(request_)
    error = await failure(_read(lane))
    ours = from_rpc_error(error)
    assert isinstance(ours, InvalidArgument)
    assert ours.field == field


async def _read(lane: Any) -> Any:
    return await lane.read()


async def test_a_key_of_another_node_is_refused_with_its_owner(cluster: ProcessCluster) -> None:
    async with GRPC.connect(cluster.address("storage-1"), Profile.DEFAULT) as channel:
        stub = kv_pb2_grpc.KeyValueStub(channel)
        calls: list[Any] = [
            stub.Get(kv_pb2.GetRequest(key=b"z")),
            stub.Put(kv_pb2.PutRequest(key=b"z")),
            stub.Delete(kv_pb2.DeleteRequest(key=b"z")),
            stub.Scan(kv_pb2.ScanRequest(start=b"z", limit=1)),
            stub.BulkInsert(bulk(b"z")),
        ]
        for call in calls:
            error = await failure(call)
            assert error.code() == grpc.StatusCode.FAILED_PRECONDITION
            ours = from_rpc_error(error)
            assert isinstance(ours, NotOwner)
            assert ours.partition is not None
            assert ours.partition.primary == "storage-2"
            assert ours.address == cluster.address("storage-2")


async def test_a_stale_epoch_is_refused_with_the_newer_entry_and_clients_heal_silently(
    cluster: ProcessCluster,
) -> None:
    async with (
        connect(cluster.address("router"), timeout=60) as thick,
        GRPC.connect(cluster.address("storage-2"), Profile.DEFAULT) as channel,
    ):
        await thick.put(Key(b"q"), b"before")
        stub, admin = kv_pb2_grpc.KeyValueStub(channel), admin_pb2_grpc.AdminStub(channel)
        async for update in topology_pb2_grpc.TopologyStub(channel).Watch(WatchRequest()):
            epoch = next(p.epoch for p in update.partitions if p.start == b"m")
            break
        assert (await stub.Get(kv_pb2.GetRequest(key=b"q", epoch=epoch))).record.value == b"before"
        await admin.SplitPartition(admin_pb2.SplitPartitionRequest(at=b"p"))
        ours = from_rpc_error(await failure(stub.Get(kv_pb2.GetRequest(key=b"q", epoch=epoch))))
        assert isinstance(ours, NotOwner)
        assert ours.partition is not None
        assert ours.partition.start == b"p"
        assert ours.partition.epoch > epoch
        assert await thick.get(Key(b"q")), "its map may be stale; it must not notice"
        await asyncio.gather(*(thick.put(Key(b"p%d" % number), b"v") for number in range(50)))
        assert len([record async for record in thick.scan(KeyRange(b"m", None))]) >= 51


async def test_the_error_of_a_refusal_can_be_read_without_our_code(stub: Any) -> None:
    error = await failure(stub.Get(kv_pb2.GetRequest(key=b"absent")))
    info = error_details_pb2.ErrorInfo()
    assert rpc_status.from_call(error).details[0].Unpack(info)
    assert (info.reason, info.domain) == ("NOT_FOUND", "dstk")
