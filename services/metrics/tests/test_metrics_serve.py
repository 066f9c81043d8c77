"""The life of a metrics service, and its calls over gRPC."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from kit.etcd import running_etcd
from kit.feeds import FakeFeed
from kit.metrics_service import config_of, fake_nodes, running
from kit.ports import free_port

from dstk.v1 import metrics_pb2
from dstk_metrics.serve import serve
from dstk_service.testing import eventually
from dstk_telemetry.sentry import ErrorReports


@pytest.fixture
def etcd() -> Iterator[str]:
    with running_etcd() as address:
        yield address


async def test_a_service_that_waits_for_etcd_says_so_and_ends_when_told_to(tmp_path: Path) -> None:
    async with running(config_of(f"127.0.0.1:{free_port()}", tmp_path)) as stub:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.ListPartitionStats(metrics_pb2.ListPartitionStatsRequest())
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        assert "not read the partition map" in refused.value.details()


async def test_a_port_that_is_taken_ends_the_service(tmp_path: Path) -> None:
    config = config_of(f"127.0.0.1:{free_port()}", tmp_path)
    other = config.model_copy(update={"data_dir": tmp_path / "other"})
    async with running(config):
        with pytest.raises(OSError, match="cannot listen"):
            await serve(other, asyncio.Event(), ErrorReports("", "metrics", "0"))


async def test_a_data_directory_that_is_taken_ends_the_service(tmp_path: Path) -> None:
    config = config_of(f"127.0.0.1:{free_port()}", tmp_path)
    async with running(config):
        with pytest.raises(OSError, match="in use by another metrics service"):
            await serve(config, asyncio.Event(), ErrorReports("", "metrics", "0"))


async def test_what_nodes_tell_is_listed_and_added_up(etcd: str, tmp_path: Path) -> None:
    feeds = {"storage-1": FakeFeed(), "storage-2": FakeFeed()}
    feeds["storage-1"].set(1, end=b"m", records=100, bytes=1000)
    feeds["storage-2"].set(2, start=b"m", records=300, bytes=2000)
    async with fake_nodes(etcd, feeds, ["m"]), running(config_of(etcd, tmp_path)) as stub:
        await eventually(lambda: all(feed.requests for feed in feeds.values()))
        for feed, count in zip(feeds.values(), (10, 40), strict=True):
            feed.uptime_s += 2
            for partition in feed.rows:
                feed.set(partition, reads=count, sampled_keys=[feed.rows[partition].start or b"a"])
        watch = stub.WatchStats(metrics_pb2.WatchStatsRequest(interval_ms=1000))
        seen = await watch.read()
        while seen.stale_partitions:
            seen = await watch.read()
        watch.cancel()
        answer = await stub.ListPartitionStats(
            metrics_pb2.ListPartitionStatsRequest(sort_by=metrics_pb2.FIGURE_READS, limit=1)
        )
    assert (seen.partitions, seen.records, seen.bytes, seen.reporting_nodes) == (2, 400, 3000, 2)
    assert (answer.total, len(answer.partitions)) == (2, 1)
    (first,) = answer.partitions
    assert (first.partition_id, first.primary, first.records) == (2, "storage-2", 300)
    assert 0 <= first.age_s < 10
    assert not first.stale


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"start": b"x", "end": b"a"}, "start"),
        ({"start": b"x" * 1025}, "start"),
        ({"end": b"x" * 1025}, "end"),
        ({"sort_by": 99}, "sort_by"),
        ({"limit": 10_001}, "limit"),
        ({"offset": 1_000_001}, "offset"),
    ],
)
async def test_bad_lists_are_refused_by_field(tmp_path: Path, fields: dict[str, object], named: str) -> None:
    async with running(config_of(f"127.0.0.1:{free_port()}", tmp_path)) as stub:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.ListPartitionStats(metrics_pb2.ListPartitionStatsRequest(**fields))
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert named in refused.value.details()


@pytest.mark.parametrize("interval_ms", [999, 60_001])
async def test_an_interval_out_of_bounds_is_refused(tmp_path: Path, interval_ms: int) -> None:
    async with running(config_of(f"127.0.0.1:{free_port()}", tmp_path)) as stub:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.WatchStats(metrics_pb2.WatchStatsRequest(interval_ms=interval_ms)).read()
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "interval_ms" in refused.value.details()
