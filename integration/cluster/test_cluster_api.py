"""The contract as any language sees it: raw gRPC to a storage node and to the router, good input and bad."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from grpc_status import rpc_status
from kit.process_cluster import ProcessCluster

from dstk.v1 import admin_pb2, admin_pb2_grpc, errors_pb2, kv_pb2, kv_pb2_grpc, records_pb2, topology_pb2_grpc
from dstk.v1.topology_pb2 import WatchRequest
from dstk_client import connect
from dstk_client.core import to_records
from dstk_keytypes import Key, KeyRange, limits
from dstk_service.channels import CHANNEL_OPTIONS
from dstk_service.errors import AlreadyExists, EtagMismatched, InvalidArgument, NotOwner
from dstk_service.status import from_rpc_error, from_status
from dstk_service.testing import eventually

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("cluster-api")]

IF_ABSENT, IF_ETAG = records_pb2.PRECONDITION_IF_ABSENT, records_pb2.PRECONDITION_IF_ETAG
LONG = bytes(limits.MAX_KEY_BYTES + 1)
BIG = bytes(limits.MAX_VALUE_BYTES + 1)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessCluster]:
    """Two nodes, of which the second owns what lies from "m" on, and a router of two processes."""
    made = ProcessCluster(
        tmp_path_factory.mktemp("api"),
        nodes=2,
        splits=["m"],
        router=True,
        router_options=["--workers", "2"],
        storage_options=["--bootstrap-replicas", "1"],
    )
    with asyncio.Runner() as runner:
        runner.run(made.__aenter__())
        try:
            yield made
        finally:
            runner.run(made.__aexit__(None, None, None))


@pytest.fixture(params=["storage-1", "router"])
async def channel(request: pytest.FixtureRequest, cluster: ProcessCluster) -> AsyncIterator[grpc.aio.Channel]:
    """To the owner of everything below "m", and to the router, which serve alike."""
    async with grpc.aio.insecure_channel(cluster.address(request.param), CHANNEL_OPTIONS) as made:
        yield made


@pytest.fixture
def stub(channel: grpc.aio.Channel) -> Any:
    return kv_pb2_grpc.KeyValueStub(channel)


async def failure(call: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


def bulk(*keys: bytes, value: bytes = b"v", **fields: Any) -> kv_pb2.BulkInsertRequest:
    return kv_pb2.BulkInsertRequest(keys=keys, values=[value] * len(keys), **fields)


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


async def test_preconditions_hold_and_tell_the_current_etag(stub: Any) -> None:
    key = b"conditional"
    await stub.Put(kv_pb2.PutRequest(key=key))
    await stub.Delete(kv_pb2.DeleteRequest(key=key))
    first = (await stub.Put(kv_pb2.PutRequest(key=key, value=b"1", precondition=IF_ABSENT))).etag
    exists = await failure(stub.Put(kv_pb2.PutRequest(key=key, precondition=IF_ABSENT)))
    assert exists.code() == grpc.StatusCode.ALREADY_EXISTS
    ours = from_rpc_error(exists)
    assert isinstance(ours, AlreadyExists)
    assert ours.current_etag == first
    second = (await stub.Put(kv_pb2.PutRequest(key=key, value=b"2", precondition=IF_ETAG, if_etag=first))).etag
    assert second > first
    for call in (
        stub.Put(kv_pb2.PutRequest(key=key, precondition=IF_ETAG, if_etag=first)),
        stub.Delete(kv_pb2.DeleteRequest(key=key, precondition=IF_ETAG, if_etag=first)),
    ):
        stale = await failure(call)
        assert stale.code() == grpc.StatusCode.ABORTED
        mismatch = from_rpc_error(stale)
        assert isinstance(mismatch, EtagMismatched)
        assert mismatch.current_etag == second
    record = (await stub.Get(kv_pb2.GetRequest(key=key))).record
    assert (record.key, record.value, record.etag) == (key, b"2", second)
    await stub.Delete(kv_pb2.DeleteRequest(key=key, precondition=IF_ETAG, if_etag=second))
    assert (await failure(stub.Get(kv_pb2.GetRequest(key=key)))).code() == grpc.StatusCode.NOT_FOUND
    assert (await failure(stub.Delete(kv_pb2.DeleteRequest(key=key)))).code() == grpc.StatusCode.NOT_FOUND


async def test_a_record_with_a_time_to_live_is_gone_when_that_is_over(stub: Any) -> None:
    await stub.Put(kv_pb2.PutRequest(key=b"brief", value=b"v", ttl_ms=300))
    record = (await stub.Get(kv_pb2.GetRequest(key=b"brief"))).record
    assert record.expires_at_ms == record.written_at_ms + 300

    async def gone() -> bool:
        try:
            await stub.Get(kv_pb2.GetRequest(key=b"brief"))
        except grpc.aio.AioRpcError as error:
            return bool(error.code() == grpc.StatusCode.NOT_FOUND)
        return False

    await eventually(gone, within=3)
    assert (await stub.Put(kv_pb2.PutRequest(key=b"brief", precondition=IF_ABSENT))).etag > record.etag


async def test_a_bulk_insert_takes_what_belongs_to_the_first_keys_partition(stub: Any) -> None:
    response = await stub.BulkInsert(bulk(b"bulk1", b"bulk2", b"n1", b"n2"))
    assert (response.inserted, response.stop) == (2, kv_pb2.BULK_STOP_PARTITION_END)
    assert len(response.etags) == 2
    response = await stub.BulkInsert(bulk(b"bulk0", b"bulk1", b"bulk3", if_absent=True))
    assert (response.inserted, response.stop) == (1, kv_pb2.BULK_STOP_KEY_EXISTS)
    record = (await stub.Get(kv_pb2.GetRequest(key=b"bulk1"))).record
    assert response.current_etag == record.etag
    for key in (b"bulk0", b"bulk1", b"bulk2"):
        await stub.Delete(kv_pb2.DeleteRequest(key=key))


async def test_scans_page_in_both_directions(stub: Any) -> None:
    keys = [b"crawl%02d" % number for number in range(10)]
    await stub.BulkInsert(bulk(*keys))
    request = kv_pb2.ScanRequest(start=b"crawl", end=b"crawl99", limit=4)
    seen: list[bytes] = []
    while True:
        page = await stub.Scan(request)
        seen += page.records.keys
        if not page.HasField("resume_key"):
            break
        request.start = page.resume_key
    assert seen == keys
    request = kv_pb2.ScanRequest(start=b"crawl", end=b"crawl99", limit=4, reverse=True)
    seen = []
    while True:
        page = await stub.Scan(request)
        seen += page.records.keys
        if not page.HasField("resume_key"):
            break
        request.end = page.resume_key
    assert seen == keys[::-1]


@pytest.mark.parametrize("reverse", [False, True])
async def test_a_stream_of_pages_is_what_page_after_page_would_be(stub: Any, reverse: bool) -> None:
    keys = [b"flow%02d" % number for number in range(10)]
    await stub.BulkInsert(bulk(*keys))
    request = kv_pb2.ScanRequest(start=b"flow", end=b"flow99", limit=4, reverse=reverse)
    pages = [page async for page in stub.ScanPages(request)]
    assert [len(page.records.keys) for page in pages] == [4, 4, 2]
    assert [key for page in pages for key in page.records.keys] == keys[:: -1 if reverse else 1]
    assert not pages[-1].HasField("resume_key")
    request.total = 7
    assert [len(page.records.keys) async for page in stub.ScanPages(request)] == [4, 3]


async def test_packed_records_are_the_same_records(stub: Any) -> None:
    await stub.Put(kv_pb2.PutRequest(key=b"bundle1", value=b"v"))
    await stub.Put(kv_pb2.PutRequest(key=b"bundle2", value=b"w", ttl_ms=3_600_000))
    request = kv_pb2.ScanRequest(start=b"bundle", end=b"bundlf", limit=10)
    columns = (await stub.Scan(request)).records
    request.packed = True
    packed = (await stub.Scan(request)).records
    assert not packed.values
    assert len(to_records(packed)) == 2
    assert to_records(packed) == to_records(columns)
    assert to_records(packed)[1].expires_at_ms > 0
    lane = stub.Execute()
    operations = [kv_pb2.Operation(kind=kv_pb2.OPERATION_KIND_GET, key=key) for key in packed.keys]
    for number, wanted in enumerate((False, True)):
        await lane.write(kv_pb2.ExecuteRequest(id=number, operations=operations, packed=wanted))
        results = (await lane.read()).results
        assert [bool(result.packed) for result in results] == [wanted] * 2
        if wanted:
            assert [result.packed for result in results] == packed.packed
        else:
            assert [result.value for result in results] == [b"v", b"w"]
            assert [result.etag for result in results] == columns.etags
            assert [result.expires_at_ms for result in results] == columns.expires_at_ms
    lane.cancel()


async def test_a_client_scans_from_node_to_node(cluster: ProcessCluster) -> None:
    keys = [Key(b"l%d" % number) for number in range(9)] + [Key(b"m%d" % number) for number in range(9)]
    router = cluster.address("router")
    async with connect(router) as thick, connect(router, mode="gateway") as gateway:
        for key in keys:
            await thick.put(key, b"v")
        for client in (thick, gateway):
            for reverse in (False, True):
                found = client.scan(KeyRange(b"l0", b"m99"), page_size=4, reverse=reverse)
                assert [record.key async for record in found] == keys[:: -1 if reverse else 1]
            some = client.scan(KeyRange(b"l0", None), limit=12, page_size=5)
            assert [record.key async for record in some] == keys[:12]


async def test_a_key_of_another_node_is_refused_with_its_owner(cluster: ProcessCluster) -> None:
    async with grpc.aio.insecure_channel(cluster.address("storage-1")) as channel:
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
        connect(cluster.address("router")) as thick,
        grpc.aio.insecure_channel(cluster.address("storage-2")) as channel,
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


def test_a_program_without_our_stubs_finds_the_contract_and_uses_it(cluster: ProcessCluster) -> None:
    with grpc.insecure_channel(cluster.address("router")) as channel:
        pool = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
        service = pool.FindServiceByName("dstk.v1.KeyValue")

        def call(name: str, **fields: Any) -> Any:
            method = service.methods_by_name[name]
            send = channel.unary_unary(
                f"/dstk.v1.KeyValue/{name}",
                request_serializer=lambda message: message.SerializeToString(),
                response_deserializer=GetMessageClass(method.output_type).FromString,
            )
            return send(GetMessageClass(method.input_type)(**fields), timeout=10)

        etag = call("Put", key=b"reflected", value=b"v").etag
        record = call("Get", key=b"reflected").record
        assert (record.value, record.etag) == (b"v", etag)


async def test_callers_that_go_away_do_no_harm(stub: Any) -> None:
    for _ in range(20):
        call = stub.Put(kv_pb2.PutRequest(key=b"gone", value=b"v"))
        call.cancel()
    lane = stub.Execute()
    await lane.write(
        kv_pb2.ExecuteRequest(id=1, operations=[kv_pb2.Operation(kind=kv_pb2.OPERATION_KIND_GET, key=b"k")])
    )
    lane.cancel()
    await stub.Put(kv_pb2.PutRequest(key=b"after", value=b"v"))


async def test_the_error_of_a_refusal_can_be_read_without_our_code(stub: Any) -> None:
    error = await failure(stub.Get(kv_pb2.GetRequest(key=b"absent")))
    info = error_details_pb2.ErrorInfo()
    assert rpc_status.from_call(error).details[0].Unpack(info)
    assert (info.reason, info.domain) == ("NOT_FOUND", "dstk")
