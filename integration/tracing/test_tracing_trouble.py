"""A storage node whose collector and whose Sentry are in trouble."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from kit.endpoints import HttpEndpoint
from kit.process_cluster import ProcessCluster
from kit.scrape import scrape
from kit.spoiled import holds_once

from dstk_client import Client, Key, connect
from dstk_service.errors import DstkError
from dstk_service.testing import eventually
from dstk_telemetry.tracing.otlp import EXPORT_SECONDS

pytestmark = pytest.mark.slow

PUTS = 100
SECONDS = EXPORT_SECONDS - 1
"""For a put: one that waited for a collector that hangs would take longer."""


@pytest.fixture
def endpoint() -> Iterator[HttpEndpoint]:
    with HttpEndpoint() as made:
        yield made


@pytest.fixture
async def cluster(endpoint: HttpEndpoint, tmp_path: Path) -> AsyncIterator[ProcessCluster]:
    tracing = "--trace-endpoint", f"http://{endpoint.address}", "--trace-ratio", "1"
    reports = "--sentry-dsn", f"http://public@{endpoint.address}/1"
    async with ProcessCluster(tmp_path, storage_options=[*tracing, *reports]) as made:
        yield made


async def put_all(client: Client) -> None:
    """Puts, one after the other, as a caller who waits for each. A pause of the machine may spoil an attempt."""

    async def attempt(_: int) -> None:
        for number in range(PUTS):
            try:
                await client.put(Key.text(f"k{number}"), b"v", timeout=SECONDS)
            except DstkError as error:
                raise AssertionError(repr(error)) from error

    await holds_once(attempt, range(3))


async def test_calls_neither_wait_nor_fail_while_the_collector_is_in_trouble(
    cluster: ProcessCluster, endpoint: HttpEndpoint
) -> None:
    async def dropped() -> float:
        figures = await scrape(cluster.operations("storage-1"))
        return figures.sum("dstk_telemetry_dropped_total", sink="traces")

    assert not await dropped()
    async with connect(cluster.address("storage-1")) as client:
        for behaviour in ("fail", "refuse", "hang"):
            before, endpoint.behaviour = await dropped(), behaviour
            await put_all(client)

            async def drops_more(before: float = before) -> bool:
                return await dropped() > before

            await eventually(drops_more)
        endpoint.behaviour, taken = "take", len(endpoint.bodies)
        await put_all(client)
        await eventually(lambda: len(endpoint.bodies) > taken)
    assert "takes spans again" in cluster.log("storage-1")


async def test_a_node_starts_serves_and_ends_without_its_collector(tmp_path: Path) -> None:
    with HttpEndpoint() as gone:
        pass
    tracing = "--trace-endpoint", f"http://{gone.address}", "--trace-ratio", "1"
    async with ProcessCluster(tmp_path, storage_options=tracing) as cluster:
        async with connect(cluster.address("storage-1")) as client:
            await put_all(client)
        assert await cluster.stop("storage-1") == 0
