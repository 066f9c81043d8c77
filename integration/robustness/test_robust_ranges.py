"""Many keys and whole ranges through real processes: read, counted, deleted; an empty range is never the whole key space."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from kit.process_cluster import ProcessCluster

from dstk.v1 import kv_pb2, kv_pb2_grpc
from dstk_client import Client, InvalidArgument, Key, KeyRange, Record, connect, connect_sync
from dstk_service.transport.grpc_connector import GRPC

pytestmark = [pytest.mark.slow]

VALUE = b"v" * 100
ALL = [Key.text(f"{letter}/{number:04}") for letter in ("a", "z") for number in range(1500)]
"""Half of them in each of the two partitions."""
WIDE = KeyRange(b"a/", b"z0")
EMPTY = [
    KeyRange(b"", b""),
    KeyRange(b"", b"\0"),
    KeyRange(b"a/", b"a/"),
    KeyRange(b"m", b"m"),
    WIDE.intersection(KeyRange(b"zz")),
]
WHOLE = KeyRange.everything()


@pytest.fixture(params=["thick", "gateway"])
async def client(request: pytest.FixtureRequest, small_cluster: ProcessCluster) -> AsyncIterator[Client]:
    async with connect(small_cluster.address("router"), mode=request.param, timeout=60) as made:
        if await made.count(WIDE) != len(ALL):
            await made.insert_sorted((key, VALUE) for key in ALL)
        yield made


@pytest.fixture(params=["storage-1", "router"])
async def stub(request: pytest.FixtureRequest, small_cluster: ProcessCluster, client: Client) -> AsyncIterator[Any]:
    async with GRPC.connect(small_cluster.address(request.param)) as channel:
        yield kv_pb2_grpc.KeyValueStub(channel)


async def test_many_keys_are_read_in_their_order(client: Client) -> None:
    keys = [ALL[7], Key.text("missing"), ALL[-1], ALL[7], *ALL[::-3]]
    found = await client.get_many(keys)
    assert [record and record.key for record in found] == [key if key in ALL else None for key in keys]
    assert all(record is None or record.value == VALUE for record in found)
    assert await client.get_many([]) == []
    with pytest.raises(InvalidArgument, match="at most 10000 keys"):
        await client.get_many([ALL[0]] * 10_001)


async def test_a_scan_of_keys_sees_what_a_scan_of_records_sees(client: Client) -> None:
    for key_range in (WIDE, KeyRange(ALL[100], ALL[2000]), KeyRange.prefix(b"z/00"), WHOLE):
        for options in ({}, {"reverse": True}, {"limit": 1700}, {"limit": 1, "reverse": True}, {"page_size": 999}):
            keys = [key async for key in client.scan_keys(key_range, **options)]
            assert keys == [record.key async for record in client.scan(key_range, **options)]
            assert all(type(key) is Key for key in keys)
        assert await client.count(key_range) == len([key async for key in client.scan_keys(key_range)])


async def test_no_values_are_sent_for_a_scan_of_keys(stub: Any) -> None:
    for packed in (True, False):
        request = kv_pb2.ScanRequest(start=b"a/", end=b"b", limit=1000, keys_only=True, packed=packed)
        pages = [await stub.Scan(request)]
        async for page in stub.ScanPages(request):
            pages.append(page)
        assert [len(page.records.keys) for page in pages] == [1000, 1000, 500]
        for page in pages:
            page.records.ClearField("keys")
            assert page.records.ByteSize() == 0


async def test_nothing_is_in_an_empty_range(client: Client) -> None:
    for empty in EMPTY:
        assert empty.is_empty
        for reverse in (False, True):
            assert await client.scan_page(empty, 10, reverse=reverse) == ([], None)
            assert [record async for record in client.scan(empty, reverse=reverse)] == []
            assert [key async for key in client.scan_keys(empty, reverse=reverse)] == []
        assert await client.count(empty) == 0
        assert await client.delete_range(empty) == 0
        assert ALL[0] not in empty
    assert await client.count(WIDE) == len(ALL)


async def test_an_empty_range_on_the_wire_has_nothing_in_it(stub: Any) -> None:
    for bound in (b"\0", b"a/", b"m", b"z/0001", b"\xff" * 1024):
        for reverse in (False, True):
            request = kv_pb2.ScanRequest(start=bound, end=bound, limit=10, reverse=reverse)
            page = await stub.Scan(request)
            assert (list(page.records.keys), page.HasField("resume_key")) == ([], False)
            assert [list(page.records.keys) async for page in stub.ScanPages(request)] == [[]]
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.Scan(kv_pb2.ScanRequest(start=b"b", end=b"a", limit=10))
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_range_is_deleted_in_pieces_and_nothing_beside_it(client: Client) -> None:
    pieces: list[int] = []
    inner = KeyRange(ALL[10], ALL[-10])
    assert await client.delete_range(inner, progress=pieces.append) == len(ALL) - 20
    assert sum(pieces) == len(ALL) - 20
    assert max(pieces) <= 1000
    assert [key async for key in client.scan_keys(WIDE)] == [*ALL[:10], *ALL[-10:]]
    assert await client.delete_range(inner) == 0


async def test_what_is_written_while_a_range_is_deleted_is_there_or_not_and_nothing_fails(client: Client) -> None:
    async def write() -> None:
        for key in ALL[::50]:
            await client.put(key, b"meanwhile")

    _, deleted = await asyncio.gather(write(), client.delete_range(WIDE))
    assert deleted >= len(ALL) - len(ALL[::50])
    assert {key async for key in client.scan_keys(WIDE)} <= set(ALL[::50])


async def test_programs_without_an_event_loop_do_the_same(client: Client, small_cluster: ProcessCluster) -> None:
    def program() -> None:
        with connect_sync(small_cluster.address("router"), timeout=60) as sync:
            pages = list(sync.scan(WIDE, page_size=700).pages())
            assert max(map(len, pages)) == 700
            records = [record for page in pages for record in page]
            assert [record.key for record in records] == ALL == list(sync.scan_keys(WIDE))
            assert list(sync.scan(WIDE, limit=1600, page_size=1000)) == records[:1600]
            assert list(sync.scan(WIDE, limit=5, reverse=True)) == records[:-6:-1]
            assert list(sync.scan(KeyRange(b"", b""))) == []
            assert all(isinstance(record, Record) for record in sync.get_many(ALL[:99]))
            assert sync.count(WIDE) == len(ALL)
            assert sync.delete_range(WIDE) == len(ALL)
            assert sync.insert_sorted(((key, VALUE) for key in ALL), batch_size=100) == len(ALL)
            assert sync.count(WIDE) == len(ALL)

    await asyncio.to_thread(program)
