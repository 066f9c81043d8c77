"""What is not read is not produced, and what was read by halves is freed: the memory of a node and of a router, as the system
tells it, while scans are left unread, half read, cancelled, and while their reader is killed.
"""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from statistics import median

import grpc
import psutil
import pytest
from kit.process_cluster import ProcessCluster, running

from dstk.v1 import kv_pb2, kv_pb2_grpc
from dstk_client import Client, Mode, connect
from dstk_keytypes import Key, KeyRange
from dstk_service.testing import eventually
from dstk_service.transport.grpc_connector import GRPC

pytestmark = [pytest.mark.slow]

SCANS = 100
ROOM = 200 << 20
"""What the scans of a server may take at their worst, unread: its budget of 32 MiB, the transport's copies of it, and what that
has read ahead.
"""

READER = """
import asyncio, sys
from contextlib import AsyncExitStack
from dstk.v1 import kv_pb2, kv_pb2_grpc
from dstk_service.transport.grpc_connector import GRPC

async def main(address, count, how):
    async with AsyncExitStack() as stack:
        channels = [await stack.enter_async_context(GRPC.connect(address)) for _ in range(4 if how == "many" else 1)]
        stubs = [kv_pb2_grpc.KeyValueStub(channel) for channel in channels] * count
        calls = [stub.ScanPages(kv_pb2.ScanRequest(limit=10_000, packed=True)) for stub in stubs[:count]]
        if how not in {"unread", "many"}:
            await asyncio.gather(*(call.read() for call in calls[:10]), return_exceptions=True)
        await asyncio.sleep(1)
        if how == "cancelled":
            for call in calls:
                call.cancel()
        print("ready", flush=True)
        await asyncio.sleep(1000)

asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessCluster]:
    """With 30 MB in one partition, read a few times: what processes hold while they work, they hold before."""
    with running(ProcessCluster(tmp_path_factory.mktemp("memory"), nodes=1, router=True)) as made:
        asyncio.run(fill(made))
        yield made


async def fill(cluster: ProcessCluster) -> None:
    async with connect(cluster.address("router"), timeout=60) as client:
        for number in range(30):
            await asyncio.gather(*(client.put(Key.of(number, each), bytes(10_000)) for each in range(100)))
    async with connect(cluster.address("router"), mode="gateway", timeout=60) as client:
        assert await client.count(KeyRange(b"", None)) == 3000
        await asyncio.gather(*(client.count(KeyRange(b"", None)) for _ in range(8)))
        assert await asyncio.gather(*(read_all(client) for _ in range(8))) == [3000] * 8


async def read_all(client: Client) -> int:
    return sum([len(page) async for page in client.scan(KeyRange(b"", None)).pages()])


@pytest.mark.parametrize("how", ["unread", "half read", "cancelled", "killed"])
@pytest.mark.parametrize("server", ["router", "storage-1"])
async def test_scans_that_nobody_reads_to_the_end_cost_little_and_are_freed_within_seconds(
    cluster: ProcessCluster, server: str, how: str
) -> None:
    process = psutil.Process(cluster.pid(server))
    before = process.memory_info().rss
    argv = [sys.executable, "-c", READER, cluster.address(server), str(SCANS), how]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as reader:  # noqa: ASYNC220 - it is waited for on a thread
        try:
            assert reader.stdout is not None
            assert await asyncio.to_thread(reader.stdout.readline) == b"ready\n"
            assert process.memory_info().rss - before < ROOM
            if how == "killed":
                reader.kill()
            if how in {"cancelled", "killed"}:
                await eventually(lambda: process.memory_info().rss < 1.2 * before)
        finally:
            reader.kill()


@pytest.mark.parametrize("server", ["router", "storage-1"])
async def test_others_are_served_beside_500_streams_on_4_connections_that_nobody_reads(
    cluster: ProcessCluster, server: str
) -> None:
    """Memory is looked at for as long as it takes until the first answers are given up, and others come in their place."""
    process = psutil.Process(cluster.pid(server))
    before, grown, took = process.memory_info().rss, 0, list[float]()
    mode: Mode = "gateway" if server == "router" else "thick"
    argv = [sys.executable, "-c", READER, cluster.address(server), "500", "many"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as reader:  # noqa: ASYNC220 - as above
        try:
            assert reader.stdout is not None
            assert await asyncio.to_thread(reader.stdout.readline) == b"ready\n"
            async with connect(cluster.address(server), mode=mode, timeout=60) as client:
                for number in range(60):
                    begun = time.monotonic()
                    await client.get(Key.of(0, number))
                    took.append(time.monotonic() - begun)
                    grown = max(grown, process.memory_info().rss - before)
                    await asyncio.sleep(0.1)
        finally:
            reader.kill()
    assert median(took) < 1, "a stream that is not read is given up after four"
    assert grown < 2 * ROOM


@pytest.mark.parametrize("server", ["router", "storage-1"])
async def test_calls_that_are_refused_or_cancelled_leave_nothing_that_grows(
    cluster: ProcessCluster, server: str
) -> None:
    process = psutil.Process(cluster.pid(server))
    async with GRPC.connect(cluster.address(server)) as channel:
        stub = kv_pb2_grpc.KeyValueStub(channel)
        await refused(stub, 1_000)
        await cancelled(stub, 500)
        before = process.memory_info().rss
        await refused(stub, 10_000)
        await cancelled(stub, 2_500)
        await eventually(lambda: process.memory_info().rss < before + (40 << 20))


async def refused(stub: "kv_pb2_grpc.KeyValueAsyncStub", count: int) -> None:
    """Calls with a value of 10 kB, which is to be kept nowhere."""
    bad = kv_pb2.PutRequest(key=bytes(2000), value=bytes(10_000))
    for _ in range(count // 100):
        outcomes = await asyncio.gather(*(stub.Put(bad) for _ in range(100)), return_exceptions=True)
        assert all(isinstance(outcome, grpc.aio.AioRpcError) for outcome in outcomes)


async def cancelled(stub: "kv_pb2_grpc.KeyValueAsyncStub", count: int) -> None:
    """Scans, in the middle of their first pages."""
    for _ in range(count // 100):
        calls = [stub.ScanPages(kv_pb2.ScanRequest(limit=10_000, packed=True)) for _ in range(100)]
        await calls[0].read()
        for call in calls:
            call.cancel()


async def test_a_reader_that_pauses_between_pages_reads_everything(cluster: ProcessCluster) -> None:
    """Pages that it leaves lying for long are given up by the server, and asked for again."""
    async with connect(cluster.address("router"), mode="gateway", timeout=60) as client:
        count, paused = 0, False
        async for page in client.scan(KeyRange(b"", None), page_size=100).pages():
            count += len(page)
            if not paused:
                paused = True
                await asyncio.sleep(6.5)
    assert count == 3000
