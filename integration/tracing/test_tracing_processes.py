"""Traces of a cluster of processes, as a collector gets them."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from kit.collector import Collector, collecting
from kit.process_cluster import ProcessCluster
from kit.traced_work import is_whole_failover, is_whole_put, is_whole_scan, put_whole, traced_client

from dstk_client import Key, KeyRange
from dstk_service.testing import eventually

pytestmark = pytest.mark.slow

K, Z = Key.text("k"), Key.text("z")


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as made:
        yield made


@pytest.fixture
async def cluster(collector: Collector, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ProcessCluster]:
    options = ["--trace-endpoint", collector.url, "--trace-ratio", "0"]
    made = ProcessCluster(
        tmp_path_factory.mktemp("traced"),
        nodes=3,
        splits=["m"],
        router=True,
        storage_options=options,
        router_options=options,
    )
    async with made:
        yield made


async def test_a_trace_shows_a_put_a_scan_and_a_failover_in_every_process(
    cluster: ProcessCluster, collector: Collector
) -> None:
    def put_is_there(*, through_router: bool) -> bool:
        return is_whole_put(collector.trace_of("dstk.client.operation"), through_router=through_router)

    async with traced_client(collector.url, cluster.address("router"), mode="gateway") as client:
        await put_whole(lambda: client.put(K, b"v"), lambda: put_is_there(through_router=True))
    async with traced_client(collector.url, cluster.address("storage-1")) as client:
        await put_whole(lambda: client.put(Z, b"v"), lambda: put_is_there(through_router=False))
        assert len([record async for record in client.scan(KeyRange.everything())]) == 2
    await eventually(lambda: is_whole_scan(collector.trace_of("dstk.client.scan")))

    primary = next(
        each.process for each in collector.trace_of("dstk.client.operation") if each.name == "dstk.server.operation"
    )
    cluster.kill(primary)
    async with asyncio.timeout(30):
        async with traced_client(collector.url, cluster.address("router"), mode="gateway") as client:
            await client.put(Z, b"w")
    won = {"dstk__election__won": True, "dstk__election__previous": primary}
    await eventually(lambda: is_whole_failover(collector.trace_of("dstk.replication.election", **won)))
