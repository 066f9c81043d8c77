"""Traces of a cluster of processes, as the real Jaeger gives them back by its API."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from kit.jaeger import Jaeger, running_jaeger
from kit.process_cluster import ProcessCluster
from kit.programs import program
from kit.traced_work import is_whole_failover, is_whole_put, is_whole_scan, put_whole, traced_client

from dstk_client import Key, KeyRange
from dstk_service.testing import eventually

pytestmark = pytest.mark.observe

A, Z = Key.text("a"), Key.text("z")
SOON = 30.0


@pytest.fixture
async def jaeger(tmp_path: Path) -> AsyncIterator[Jaeger]:
    async with running_jaeger(program("jaeger"), tmp_path) as made:
        yield made


@pytest.fixture
async def cluster(jaeger: Jaeger, tmp_path: Path) -> AsyncIterator[ProcessCluster]:
    options = ["--trace-endpoint", jaeger.endpoint, "--trace-ratio", "0"]
    router = {"router": True, "router_options": options}
    async with ProcessCluster(tmp_path / "c", nodes=3, splits=["m"], storage_options=options, **router) as made:
        yield made


async def test_jaeger_shows_a_put_on_three_replicas_a_scan_and_a_failover(
    jaeger: Jaeger, cluster: ProcessCluster
) -> None:
    async def put_is_there(*, through_router: bool) -> bool:
        return is_whole_put(await jaeger.trace_of("dstk-test", "dstk.client.operation"), through_router=through_router)

    async with traced_client(jaeger.endpoint, cluster.address("router"), mode="gateway") as client:
        await put_whole(lambda: client.put(A, b"v"), lambda: put_is_there(through_router=True))
    async with traced_client(jaeger.endpoint, cluster.address("storage-1")) as client:
        await put_whole(lambda: client.put(Z, b"v"), lambda: put_is_there(through_router=False))
    put = await jaeger.trace_of("dstk-test", "dstk.client.operation")

    async with traced_client(jaeger.endpoint, cluster.address("storage-1")) as client:
        assert len([record async for record in client.scan(KeyRange.everything())]) == 2

    async def scan_is_there() -> bool:
        return is_whole_scan(await jaeger.trace_of("dstk-test", "dstk.client.scan"))

    await eventually(scan_is_there, within=SOON)

    primary = next(span.process for span in put if span.name == "dstk.server.operation")
    cluster.kill(primary)
    async with asyncio.timeout(SOON):
        async with traced_client(jaeger.endpoint, cluster.address("router"), mode="gateway") as client:
            await client.put(Z, b"w")

    async def failover_is_there() -> bool:
        won = {"dstk__election__won": "true", "dstk__election__previous": primary}
        return is_whole_failover(await jaeger.trace_of("dstk-storage", "dstk.replication.election", **won))

    await eventually(failover_is_there, within=SOON)
