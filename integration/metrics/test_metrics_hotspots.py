"""A hotspot is named within 20 seconds, with nodes that report every ten, as by default."""

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress

import pytest
from kit.process_cluster import ProcessCluster, running

from dstk.v1 import metrics_pb2, metrics_pb2_grpc
from dstk_client import Client, connect
from dstk_keytypes import Key
from dstk_service.errors import NotFound
from dstk_service.testing import eventually
from dstk_service.transport.grpc_connector import GRPC

GOAL_SECONDS = 20
READERS = 16
PAUSE_SECONDS = 0.01
SPLITS = ["b", "d", "f", "h", "j", "l", "n"]
RNG = random.Random(5)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessCluster]:
    """Two nodes with eight partitions, and a metrics service."""
    directory = tmp_path_factory.mktemp("hotspots")
    made = ProcessCluster(directory, nodes=2, splits=SPLITS, metrics=1, storage_options=["--bootstrap-replicas", "1"])
    with running(made):
        yield made


@pytest.fixture
async def client(cluster: ProcessCluster) -> AsyncIterator[Client]:
    async with connect(cluster.address("storage-1"), mode="thick") as made:
        yield made


@pytest.fixture
async def metrics(cluster: ProcessCluster) -> AsyncIterator[metrics_pb2_grpc.MetricsStub]:
    async with GRPC.connect(cluster.address("metrics")) as channel:
        yield metrics_pb2_grpc.MetricsStub(channel)


@asynccontextmanager
async def reading(client: Client, next_key: Callable[[], bytes]) -> AsyncIterator[None]:
    """Reads keys, some hundred a second, for as long as the block runs."""

    async def read() -> None:
        while True:
            with suppress(NotFound):
                await client.get(Key(next_key()))
            await asyncio.sleep(PAUSE_SECONDS)

    readers = [asyncio.create_task(read()) for _ in range(READERS)]
    try:
        yield
    finally:
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)


async def named(stub: metrics_pb2_grpc.MetricsStub, start: bytes) -> metrics_pb2.HotPartition:
    """The partition that starts at the key, once it is hot by its reads."""
    found: list[metrics_pb2.HotPartition] = []

    async def is_hot() -> bool:
        request = metrics_pb2.ListHotPartitionsRequest(by=metrics_pb2.FIGURE_READS)
        answer = await stub.ListHotPartitions(request)
        found[:] = [each for each in answer.partitions if each.stats.start == start and each.prefixes]
        return bool(found)

    await eventually(is_hot, within=GOAL_SECONDS)
    return found[0]


async def test_a_hotspot_of_one_key_is_named(client: Client, metrics: metrics_pb2_grpc.MetricsStub) -> None:
    async with reading(client, lambda: b"fever"):
        hot = await named(metrics, b"f")
    assert (hot.prefixes[0].prefix, hot.prefixes[0].is_key) == (b"fever", True)
    assert hot.prefixes[0].share == 1
    assert hot.share > 0.9
    assert hot.skew == pytest.approx(8 * hot.share)
    assert "a split does not divide a key" in hot.advice


async def test_a_hotspot_of_a_prefix_is_named(client: Client, metrics: metrics_pb2_grpc.MetricsStub) -> None:
    async with reading(client, lambda: b"h/users/7/" + RNG.randbytes(6)):
        hot = await named(metrics, b"h")
    assert (hot.prefixes[0].prefix, hot.prefixes[0].is_key) == (b"h/users/7/", False)
    assert "--by-load" in hot.advice


async def test_a_hotspot_that_moves_along_the_key_space_is_named_wherever_it_is(
    client: Client, metrics: metrics_pb2_grpc.MetricsStub
) -> None:
    for start in (b"j", b"l", b"n"):
        numbers = itertools.count()
        async with reading(client, lambda start=start, numbers=numbers: start + b"%08d" % next(numbers)):
            hot = await named(metrics, start)
        assert hot.prefixes[0].prefix.startswith(start)
