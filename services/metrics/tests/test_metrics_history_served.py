"""GetHistory over gRPC, across a restart of the service."""

import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest
from kit.etcd import running_etcd
from kit.feeds import FakeFeed
from kit.metrics_service import config_of, fake_nodes, running

from dstk.v1 import metrics_pb2, metrics_pb2_grpc
from dstk_service.testing import eventually


@pytest.fixture
def etcd() -> Iterator[str]:
    with running_etcd() as address:
        yield address


async def counted(stub: metrics_pb2_grpc.MetricsStub) -> bool:
    """Whether the counts of both partitions have arrived."""
    answer = await stub.ListPartitionStats(metrics_pb2.ListPartitionStatsRequest())
    return [each.records for each in answer.partitions if not each.stale] == [100, 300]


async def test_what_a_stopped_service_had_seen_is_in_the_history_of_the_next_one(etcd: str, tmp_path: Path) -> None:
    feeds = {"storage-1": FakeFeed(), "storage-2": FakeFeed()}
    feeds["storage-1"].set(1, end=b"m", records=100, bytes=1000)
    feeds["storage-2"].set(2, start=b"m", records=300, bytes=2000)
    request = metrics_pb2.GetHistoryRequest(figure=metrics_pb2.FIGURE_RECORDS, from_ms=int(time.time() * 1000) - 60_000)
    async with fake_nodes(etcd, feeds, ["m"]):
        async with running(config_of(etcd, tmp_path)) as stub:
            await eventually(lambda: all(feed.requests for feed in feeds.values()))
            for feed in feeds.values():
                feed.uptime_s += 2
            await eventually(lambda: counted(stub))
        async with running(config_of(etcd, tmp_path)) as stub:
            answer = await eventually_answered(stub, request)
    values = np.frombuffer(answer.values, "<f4").reshape(len(answer.row_starts), -1)
    assert list(answer.row_starts) == [b"", b"m"]
    assert list(answer.row_nodes) == ["storage-1", "storage-2"]
    assert np.nanmax(values, axis=1).tolist() == [100, 300]


async def eventually_answered(
    stub: metrics_pb2_grpc.MetricsStub, request: metrics_pb2.GetHistoryRequest
) -> metrics_pb2.GetHistoryResponse:
    """The answer, as soon as the service has a map."""
    answers: list[metrics_pb2.GetHistoryResponse] = []

    async def is_answered() -> bool:
        try:
            answers.append(await stub.GetHistory(request))
        except grpc.aio.AioRpcError as error:
            assert error.code() is grpc.StatusCode.UNAVAILABLE
        return bool(answers)

    await eventually(is_answered)
    return answers[0]
