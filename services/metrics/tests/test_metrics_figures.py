"""What the service exports of itself: over HTTP, on a real etcd."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from kit.etcd import running_etcd
from kit.feeds import FakeFeed
from kit.metrics_service import config_of, fake_nodes, running
from kit.ports import free_port
from kit.scrape import Figures, answer, scrape

from dstk.v1 import metrics_pb2, metrics_pb2_grpc
from dstk_metrics.adapters.every_partition import PATH
from dstk_metrics.adapters.history_file import NAME
from dstk_metrics.domain.report import Refusal
from dstk_service.testing import eventually
from dstk_telemetry.registry import feeds as registry


@pytest.fixture
def etcd() -> Iterator[str]:
    with running_etcd() as address:
        yield address


@pytest.fixture
def operations() -> str:
    return f"127.0.0.1:{free_port()}"


@asynccontextmanager
async def two_nodes(
    etcd: str, path: Path, operations: str, feeds: dict[str, FakeFeed], **settings: object
) -> AsyncIterator[metrics_pb2_grpc.MetricsStub]:
    """A service that follows two nodes, each with one partition."""
    feeds["storage-1"].set(1, end=b"m", records=100, bytes=1000)
    feeds["storage-2"].set(2, start=b"m", records=300, bytes=2000)
    config = config_of(etcd, path, operations_listen=operations, feed_seconds=1.0, **settings)
    async with fake_nodes(etcd, feeds, ["m"]), running(config) as stub:
        await eventually(lambda: all(feed.requests for feed in feeds.values()))
        yield stub


@asynccontextmanager
async def watching(stub: metrics_pb2_grpc.MetricsStub) -> AsyncIterator[None]:
    """While the block runs, somebody watches the totals, so that nodes are asked every second."""
    call = stub.WatchStats(metrics_pb2.WatchStatsRequest(interval_ms=1000))
    await call.read()
    yield
    call.cancel()


def node(figures: Figures, name: str, peer: str) -> float:
    return figures.sum(name, peer=peer)


async def test_nodes_partitions_and_watchers_are_exported(etcd: str, tmp_path: Path, operations: str) -> None:
    feeds = {"storage-1": FakeFeed(), "storage-2": FakeFeed()}
    async with two_nodes(etcd, tmp_path, operations, feeds) as stub, watching(stub):
        for feed in feeds.values():
            feed.uptime_s += 2
        feeds["storage-1"].set(1, reads=50, busy_s=0.5)

        async def all_is_seen() -> bool:
            found = await scrape(operations)
            assert found.sum("dstk_statistics_partitions", freshness="fresh") == 2
            assert found.sum("dstk_statistics_partitions") == 2
            assert found.sum("dstk_feed_connected") == 2
            assert found.sum("dstk_feed_silent") == 0
            assert node(found, "dstk_feed_silence_seconds", "storage-1") < 10
            assert found.sum("dstk_feed_updates_total") >= 4
            assert found.sum("dstk_feed_rows_total") >= 3
            assert found.sum("dstk_statistics_watchers") == 1
            assert found.sum("dstk_cluster_partition_reads_total", partition="1") == 50
            assert found.sum("dstk_cluster_partition_busy_seconds_total", partition="1") == 0.5
            assert found.sum("dstk_cluster_partition_records") == 400
            assert found.sum("dstk_history_size_bytes") > 0
            return True

        await eventually(all_is_seen)
        _, text = await answer(operations, PATH)
        assert 'dstk_cluster_partition_reads_total{partition="1"} 50.0' in text
        assert 'dstk_cluster_partition_size_bytes{partition="2"} 2000.0' in text


async def test_a_silent_node_is_told_and_its_partition_grows_stale(etcd: str, tmp_path: Path, operations: str) -> None:
    feeds = {"storage-1": FakeFeed(), "storage-2": FakeFeed()}
    async with two_nodes(etcd, tmp_path, operations, feeds) as stub, watching(stub):
        for feed in feeds.values():
            feed.uptime_s += 2
        await eventually(lambda: all(len(feed.requests) > 2 for feed in feeds.values()))
        feeds["storage-2"].is_silent = True

        async def is_silent() -> bool:
            found = await scrape(operations)
            assert node(found, "dstk_feed_silent", "storage-2") == 1
            assert node(found, "dstk_feed_silent", "storage-1") == 0
            assert found.sum("dstk_statistics_partitions", freshness="stale") == 1
            assert node(found, "dstk_feed_silence_seconds", "storage-2") > 3
            return True

        await eventually(is_silent)


async def test_rows_that_are_refused_and_streams_that_break_are_counted(
    etcd: str, tmp_path: Path, operations: str
) -> None:
    feeds = {"storage-1": FakeFeed(), "storage-2": FakeFeed()}
    feeds["storage-1"].set(7, start=b"z", end=b"y")
    feeds["storage-2"].spoil = lambda update: type(update)()
    async with two_nodes(etcd, tmp_path, operations, feeds):

        async def is_counted() -> bool:
            found = await scrape(operations)
            assert found.sum("dstk_feed_refused_rows_total", refusal="range") >= 1
            assert found.sum("dstk_feed_refused_rows_total") == found.sum(
                "dstk_feed_refused_rows_total", refusal="range"
            )
            assert found.sum("dstk_feed_breaks_total") >= 1
            return True

        await eventually(is_counted)


async def test_the_history_and_the_console_are_exported(etcd: str, tmp_path: Path, operations: str) -> None:
    feeds, console = {"storage-1": FakeFeed(), "storage-2": FakeFeed()}, f"127.0.0.1:{free_port()}"
    (tmp_path / NAME).write_bytes(b"no database" * 1000)
    async with two_nodes(etcd, tmp_path, operations, feeds, console_listen=console):
        assert (await answer(console, "/"))[0] == 200
        assert (await answer(console, "/nothing"))[0] == 404
        found = await scrape(operations)
    assert (
        found.sum("dstk_console_requests_total", code="200")
        == found.sum("dstk_console_requests_total", code="404")
        == 1
    )
    assert found.sum("dstk_history_moved_aside_total") == 1
    assert found.sum("dstk_history_slots") == 0
    assert found.sum("dstk_history_limit_bytes") == 2 << 30
    assert found.sum("dstk_history_age_seconds") < 60


def test_the_registry_knows_every_refusal() -> None:
    assert registry.REFUSAL.values == tuple(each.name.lower() for each in Refusal)
