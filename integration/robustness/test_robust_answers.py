"""Large answers: every caller gets its own, nobody else notices, and no process holds more than its budget."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Literal

import grpc
import psutil
import pytest
from kit.process_cluster import ProcessCluster, running
from kit.spoiled import holds_once

from dstk.v1 import kv_pb2, kv_pb2_grpc
from dstk_client import Client, connect
from dstk_keytypes import Key, KeyRange
from dstk_service.transport.grpc_connector import GRPC
from dstk_service.unread import LOOK_SECONDS, STALLED_SECONDS

MIB = 1 << 20
LARGE = [Key.of("large", number) for number in range(4)]
GROWTH = 260 << 20
"""What a process may grow by: its budget of 32 MiB, three times while a part is made and sent, and what LevelDB reads."""
PART = MIB * 2 + 4096
ATTEMPTS = range(3)
"""A pause of 0.7 seconds, as long as a lease, deposes a node, too."""

GIVEN_UP_SECONDS = STALLED_SECONDS + 2 * LOOK_SECONDS + 1
"""When streams that are not read have been given up, with a second for their servers to notice."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessCluster]:
    made = ProcessCluster(tmp_path_factory.mktemp("answers"), nodes=3, router=True)
    with running(made):
        asyncio.run(fill(made))
        yield made


async def fill(cluster: ProcessCluster) -> None:
    async with connect(cluster.address("router"), timeout=60) as client:
        for number, key in enumerate(LARGE):
            await client.put(key, bytes([number]) * MIB)


@asynccontextmanager
async def nobody_notices(cluster: ProcessCluster) -> AsyncIterator[None]:
    """Beside somebody who writes small records, no node is deposed, and no process grows by more than it may."""
    elected = [cluster.log(name).count("took over") for name in cluster.names]
    watched = {name: psutil.Process(cluster.pid(name)) for name in (*cluster.names, "router")}
    before = {name: process.memory_info().rss for name, process in watched.items()}
    peaks = dict(before)

    async def write() -> None:
        async with connect(cluster.address("storage-1"), timeout=60) as client:
            while True:
                await client.put(Key.text("small"), b"v")
                for name, process in watched.items():
                    peaks[name] = max(peaks[name], process.memory_info().rss)
                await asyncio.sleep(0.01)

    writing = asyncio.create_task(write())
    try:
        yield
        assert not writing.done() or writing.result()
    finally:
        writing.cancel()
    assert [cluster.log(name).count("took over") for name in cluster.names] == elected
    grown = {name: peaks[name] - before[name] for name in watched}
    assert max(grown.values()) < GROWTH, grown


async def primary(cluster: ProcessCluster) -> str:
    """The node that serves everything."""
    for name in cluster.names:
        async with GRPC.connect(cluster.address(name)) as channel:
            try:
                await kv_pb2_grpc.KeyValueStub(channel).Get(kv_pb2.GetRequest(key=LARGE[0]), timeout=60)
            except grpc.aio.AioRpcError:
                continue
            return name
    raise AssertionError("nobody serves")


@pytest.mark.parametrize("mode", ["thick", "gateway"])
@pytest.mark.parametrize("callers", [40, 200])
async def test_many_gets_of_large_records_at_once_are_all_answered(
    cluster: ProcessCluster, mode: Literal["thick", "gateway"], callers: int
) -> None:
    async def get(client: Client, number: int) -> bool:
        key = LARGE[number % len(LARGE)]
        record = await client.get(key)
        return record is not None and record.value == bytes([number % len(LARGE)]) * MIB

    async def all_are_answered(_: int) -> None:
        async with nobody_notices(cluster), connect(cluster.address("router"), mode=mode, timeout=60) as client:
            assert all(await asyncio.gather(*(get(client, number) for number in range(callers))))

    await holds_once(all_are_answered, ATTEMPTS)


async def test_many_large_records_are_read_in_one_call(cluster: ProcessCluster) -> None:
    async def are_read(_: int) -> None:
        async with nobody_notices(cluster), connect(cluster.address("router"), timeout=60) as client:
            keys = [LARGE[0], Key.text("missing"), LARGE[3]] * 10
            records = await client.get_many(keys)
            assert [None if each is None else each.value[:1] for each in records] == [b"\x00", None, b"\x03"] * 10

    await holds_once(are_read, ATTEMPTS)


async def answered(call: grpc.aio.StreamStreamCall, number: int) -> list[kv_pb2.OperationResult]:
    """The results of a message, part by part."""
    results: list[kv_pb2.OperationResult] = []
    while True:
        part = await call.read()
        assert part.id == number
        assert part.ByteSize() <= PART
        results += part.results
        if not part.more:
            return results


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("where", ["primary", "router"])
async def test_a_small_message_that_asks_for_much_is_answered_in_parts(
    cluster: ProcessCluster, where: str, packed: bool
) -> None:
    operations = [kv_pb2.Operation(kind=kv_pb2.OPERATION_KIND_GET, key=LARGE[at % 4]) for at in range(300)]
    operations[7] = kv_pb2.Operation(kind=kv_pb2.OPERATION_KIND_PUT, key=b"between", value=b"v")
    operations[150] = kv_pb2.Operation(kind=kv_pb2.OPERATION_KIND_GET, key=b"missing")
    operations[299] = kv_pb2.Operation(kind=kv_pb2.OPERATION_KIND_GET, key=b"k" * 2000)
    results: list[kv_pb2.OperationResult] = []

    async def is_answered(_: int) -> None:
        server = await primary(cluster) if where == "primary" else where
        async with nobody_notices(cluster), GRPC.connect(cluster.address(server)) as channel:
            call = kv_pb2_grpc.KeyValueStub(channel).Execute()
            await call.write(kv_pb2.ExecuteRequest(id=5, operations=operations, packed=packed))
            results[:] = await answered(call, 5)
            call.cancel()

    await holds_once(is_answered, ATTEMPTS)
    assert len(results) == len(operations)
    assert [results[at].code for at in (7, 150, 299)] == [0, 5, 3]
    assert results[7].etag
    large = [result for at, result in enumerate(results) if at not in {7, 150, 299}]
    assert all(len(result.packed if packed else result.value) - MIB in {0, 18} for result in large)


async def test_a_caller_may_leave_large_records_out(cluster: ProcessCluster) -> None:
    for server in (await primary(cluster), "router"):
        async with GRPC.connect(cluster.address(server)) as channel:
            call = kv_pb2_grpc.KeyValueStub(channel).Execute()
            gets = [kv_pb2.Operation(kind=kv_pb2.OPERATION_KIND_GET, key=key) for key in LARGE * 10]
            await call.write(kv_pb2.ExecuteRequest(id=1, operations=gets, inline_bytes=1000))
            results = await answered(call, 1)
            call.cancel()
        assert [(result.code, result.omitted_bytes > MIB, result.value) for result in results] == [(0, True, b"")] * 40


@pytest.mark.parametrize("where", ["primary", "router"])
async def test_answers_that_are_not_read_are_not_made_and_do_not_keep_others_waiting(
    cluster: ProcessCluster, where: str
) -> None:
    async def are_served(_: int) -> None:
        await others_are_served(cluster, await primary(cluster) if where == "primary" else where)

    await holds_once(are_served, ATTEMPTS)


async def others_are_served(cluster: ProcessCluster, server: str) -> None:
    """Streams that ask and never read, in every way; meanwhile another client reads large records and small ones."""
    request = kv_pb2.ExecuteRequest(
        id=1, operations=[kv_pb2.Operation(kind=kv_pb2.OPERATION_KIND_GET, key=LARGE[0])] * 400
    )
    async with nobody_notices(cluster), GRPC.connect(cluster.address(server)) as channel:
        stub = kv_pb2_grpc.KeyValueStub(channel)
        streams = [stub.Execute() for _ in range(40)]
        for call in streams:
            for _ in range(3):
                await call.write(request)
        scans = [stub.ScanPages(kv_pb2.ScanRequest(limit=10_000)) for _ in range(40)]
        async with connect(cluster.address("router"), mode="gateway", timeout=60) as client:
            begun = time.monotonic()
            for _ in range(20):
                await client.get(Key.text("small"))
            assert time.monotonic() - begun < GIVEN_UP_SECONDS
            record = await client.get(LARGE[1])
            assert record is not None
        for call in (*streams, *scans):
            call.cancel()


async def test_a_page_is_bounded_whatever_its_records_are(cluster: ProcessCluster) -> None:
    async with GRPC.connect(cluster.address("router")) as channel:
        stub = kv_pb2_grpc.KeyValueStub(channel)
        page = await stub.Scan(kv_pb2.ScanRequest(limit=10_000, start=LARGE[0]), timeout=60)
        assert page.ByteSize() < 6 * MIB
        sizes = [each.ByteSize() async for each in stub.ScanPages(kv_pb2.ScanRequest(limit=10_000))]
        assert max(sizes) < PART
    async with connect(cluster.address("router"), timeout=60) as client:
        assert len([each async for each in client.scan(KeyRange(LARGE[0], None))]) >= len(LARGE)
