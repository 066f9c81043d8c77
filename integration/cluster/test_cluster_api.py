"""The contract as any language sees it: raw gRPC to a storage node and to the router."""

from typing import Any

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from kit.contract import bulk, failure
from kit.process_cluster import ProcessCluster

from dstk.v1 import kv_pb2, records_pb2
from dstk_client import connect
from dstk_client.scan import to_records
from dstk_keytypes import Key, KeyRange
from dstk_service.errors import AlreadyExists, EtagMismatched
from dstk_service.status import from_rpc_error
from dstk_service.testing import eventually

pytestmark = [pytest.mark.slow]

IF_ABSENT, IF_ETAG = records_pb2.PRECONDITION_IF_ABSENT, records_pb2.PRECONDITION_IF_ETAG


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

    await eventually(gone)
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


async def test_a_bulk_insert_keeps_the_expiry_of_each_record(stub: Any) -> None:
    moment = 4_000_000_000_123
    request = bulk(b"expiry1", b"expiry2", b"expiry3")
    request.expires_at_ms.extend([moment, 0, 1])
    assert (await stub.BulkInsert(request)).inserted == 3
    page = await stub.Scan(kv_pb2.ScanRequest(start=b"expiry", end=b"expiry9", limit=9))
    assert list(zip(page.records.keys, page.records.expires_at_ms, strict=True)) == [
        (b"expiry1", moment),
        (b"expiry2", 0),
    ]
    for key in (b"expiry1", b"expiry2"):
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
    async with connect(router, timeout=60) as thick, connect(router, mode="gateway", timeout=60) as gateway:
        for key in keys:
            await thick.put(key, b"v")
        for client in (thick, gateway):
            for reverse in (False, True):
                found = client.scan(KeyRange(b"l0", b"m99"), page_size=4, reverse=reverse)
                assert [record.key async for record in found] == keys[:: -1 if reverse else 1]
            some = client.scan(KeyRange(b"l0", None), limit=12, page_size=5)
            assert [record.key async for record in some] == keys[:12]


def test_a_program_without_our_stubs_finds_the_contract_and_uses_it(cluster: ProcessCluster) -> None:
    with grpc.insecure_channel(cluster.address("router"), [("grpc.enable_http_proxy", 0)]) as channel:
        pool = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
        service = pool.FindServiceByName("dstk.v1.KeyValue")

        def call(name: str, **fields: Any) -> Any:
            method = service.methods_by_name[name]
            send = channel.unary_unary(
                f"/dstk.v1.KeyValue/{name}",
                request_serializer=lambda message: message.SerializeToString(),
                response_deserializer=GetMessageClass(method.output_type).FromString,
            )
            return send(GetMessageClass(method.input_type)(**fields), timeout=60)

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
