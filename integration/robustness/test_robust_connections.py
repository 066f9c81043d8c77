"""Nodes and routers that hang, die and move, as clients meet them: who waits, for how long, and what stays open."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from statistics import median

import psutil
import pytest
from kit.process_cluster import ProcessCluster, running
from kit.spoiled import holds_once

from dstk.v1 import topology_pb2, topology_pb2_grpc
from dstk_client import Client, DstkError, Mode, connect
from dstk_keytypes import Key, KeyRange
from dstk_service.testing import eventually
from dstk_service.transport.grpc_connector import GRPC

EVERYTHING = KeyRange(b"", None)
SMALL, MANY = Key.text("small"), 16


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessCluster]:
    """Three nodes that lead a partition each, and two routers."""
    made = ProcessCluster(tmp_path_factory.mktemp("connections"), nodes=3, splits=["h", "p"], router=True, routers=2)
    with running(made):
        yield made


@asynccontextmanager
async def paused(cluster: ProcessCluster, name: str) -> AsyncIterator[None]:
    """The process hangs for as long as the block lasts; then it serves again."""
    cluster.pause(name)
    try:
        yield
    finally:
        cluster.resume(name)
        await cluster.serving(name)


async def works(call: Callable[[], Awaitable[object]]) -> float:
    """Seconds until the call succeeds, which is tried again and again."""
    begun = time.monotonic()

    async def succeeds() -> bool:
        try:
            await call()
        except DstkError:
            return False
        return True

    await eventually(succeeds)
    return time.monotonic() - begun


async def everywhere(client: Client, *, timeout: float = 1.0) -> None:
    """One write in each partition."""
    await asyncio.gather(*(client.put(Key.text(text), b"v", timeout=timeout) for text in ("a", "k", "z")))


async def is_whole(cluster: ProcessCluster) -> bool:
    """Whether every partition has all of its replicas in sync, so that any node can be spared."""
    async with GRPC.connect(cluster.address("router-2")) as channel:
        call = topology_pb2_grpc.TopologyStub(channel).Watch(topology_pb2.WatchRequest(), timeout=60)
        update = await call.read()
        call.cancel()
    return all(len(each.in_sync) == 3 for each in update.partitions)


@pytest.mark.parametrize(
    ("seed", "hangs"), [("storage-1", ["storage-1"]), ("router", ["router", "storage-2"])], ids=["node", "router"]
)
async def test_a_client_whose_only_seed_hangs_goes_on(cluster: ProcessCluster, seed: str, hangs: list[str]) -> None:
    async def goes_on(_: int) -> None:
        await eventually(lambda: is_whole(cluster))
        async with connect(cluster.address(seed), timeout=60) as client:
            await works(lambda: everywhere(client))
            async with AsyncExitStack() as stack:
                for name in hangs:
                    await stack.enter_async_context(paused(cluster, name))
                took = await works(lambda: everywhere(client))
            assert took < 8, "others have taken over, and their map has been read"

    await holds_once(goes_on, range(5))


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.get(SMALL),
        lambda client: client.put(SMALL, b"v"),
        lambda client: client.scan_page(EVERYTHING, 10),
        lambda client: client.bulk_insert([(SMALL, b"v")]),
        lambda client: client.count(EVERYTHING),
    ],
    ids=["get", "put", "scan_page", "bulk_insert", "count"],
)
async def test_a_gateway_client_leaves_a_router_that_hangs(
    cluster: ProcessCluster, call: Callable[[Client], Awaitable[object]]
) -> None:
    async def leaves(_: int) -> None:
        routers = [cluster.address("router"), cluster.address("router-2")]
        async with connect(*routers, mode="gateway", timeout=60) as client:
            await works(lambda: call(client))
            async with paused(cluster, "router"):
                assert await works(lambda: call(client)) < 3
                assert await seconds_of(call(client)) < 1, "it stays with the router that answers"

    await holds_once(leaves, range(5))


async def test_a_gateway_client_stays_with_a_router_that_waits_for_a_node(cluster: ProcessCluster) -> None:
    """A write at the moment when its node hangs is settled by the router, and ambiguous only if that cannot know."""
    await holds_once(lambda _: stays(cluster), range(5))


async def stays(cluster: ProcessCluster) -> None:
    """Raises AssertionError where the client turns to the other router, as it does when the first is silent, too."""
    await eventually(lambda: is_whole(cluster))
    async with connect(cluster.address("router"), cluster.address("router-2"), mode="gateway", timeout=60) as client:
        await works(lambda: everywhere(client))
        async with paused(cluster, "storage-3"):
            records = await asyncio.gather(*(client.get(Key.text(text)) for text in ("a", "k", "z")))
            assert all(record is not None for record in records)
            assert sockets_to([cluster.address("router-2")]) == 0, "it was not turned to"
        await works(lambda: everywhere(client))


@pytest.mark.parametrize("mode", ["thick", "gateway"])
@pytest.mark.parametrize("kind", ["put", "get"])
async def test_small_requests_do_not_wait_behind_large_ones(cluster: ProcessCluster, mode: Mode, kind: str) -> None:
    async with connect(cluster.address("router"), mode=mode, timeout=60) as client:
        await works(lambda: client.put(SMALL, b"v"))
        large = [Key.text(f"large {number}") for number in range(MANY)]
        await asyncio.gather(*(client.put(key, bytes(1 << 20)) for key in large))
        stop, waits = asyncio.Event(), list[float]()

        async def keeps_busy(key: Key) -> None:
            while not stop.is_set():
                waits.append(await seconds_of(client.put(key, bytes(1 << 20)) if kind == "put" else client.get(key)))

        busy = [asyncio.create_task(keeps_busy(key)) for key in large]
        reads = [await seconds_of(client.get(SMALL)) for _ in range(100)]
        writes = [await seconds_of(client.put(SMALL, b"v")) for _ in range(30)]
        stop.set()
        await asyncio.gather(*busy)
    small, beside, large = (median(each) * 1000 for each in (reads, writes, waits))
    print(f"{mode} beside {kind}s of {large:.1f} ms: get p50 {small:.1f} ms, put p50 {beside:.1f} ms")
    assert small * 2 < large, "they took as long when they shared a stream"


async def seconds_of(call: Awaitable[object]) -> float:
    begun = time.perf_counter()
    await call
    return time.perf_counter() - begun


def sockets_to(addresses: list[str]) -> int:
    """This process's connections that stand."""
    ports = {int(address.rpartition(":")[2]) for address in addresses}
    return sum(
        each.status == psutil.CONN_ESTABLISHED and bool(each.raddr) and each.raddr.port in ports
        for each in psutil.Process().net_connections(kind="tcp")
    )


@pytest.mark.parametrize("mode", ["thick", "gateway"])
async def test_connections_end_with_their_client_and_need_no_garbage_collection(
    cluster: ProcessCluster, mode: str
) -> None:
    addresses = [cluster.address(name) for name in cluster.speakers]
    gc.collect()
    await eventually(lambda: sockets_to(addresses) == 0)
    gc.disable()
    try:
        for _ in range(10):
            async with connect(cluster.address("router"), mode=mode, timeout=60) as client:
                await everywhere(client, timeout=60)
                await client.put(SMALL, bytes(100_000))
                await client.scan_page(EVERYTHING, 10)
                await client.bulk_insert([(SMALL, b"v")])
                async for _ in client.scan(EVERYTHING, page_size=2):
                    break
                assert sockets_to(addresses) > 0
        await eventually(lambda: sockets_to(addresses) == 0)
    finally:
        gc.enable()
