"""The Metrics client: typed answers, typed failures, nothing sent that is out of bounds, and streams that end."""

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import pytest
from kit.scripted_metrics import UNARY, ScriptedMetrics, drained, scripted_metrics

from dstk.v1 import metrics_pb2
from dstk_client.metrics import MetricsClient
from dstk_keytypes import KeyRange
from dstk_service.errors import DeadlineExceeded, InvalidArgument, NotServing
from dstk_service.testing import eventually
from dstk_service.transport.grpc_connector import GRPC

READS = metrics_pb2.FIGURE_READS
RANGE = KeyRange(b"b", b"d")


@asynccontextmanager
async def asked_of(seconds: float = 60.0) -> AsyncIterator[tuple[MetricsClient, ScriptedMetrics]]:
    async with scripted_metrics() as service, GRPC.connect(service.address) as channel:
        yield MetricsClient(channel, "the metrics service", seconds), service


async def test_every_call_of_metrics_has_a_method() -> None:
    async with asked_of() as (metrics, service):
        await metrics.partition_stats(RANGE, sort_by=READS, reverse=True, offset=2, limit=3)
        await metrics.hot_partitions(READS, 4)
        await metrics.estimate(RANGE)
        await metrics.split_points(RANGE, piece_bytes=5, across_partitions=True)
        await metrics.history(READS, RANGE, from_ms=1, to_ms=2, max_rows=3, max_columns=4)
        asked = dict(service.asked)
        assert set(asked) == set(UNARY)
        bounds = {"start": b"b", "end": b"d"}
        assert asked["ListPartitionStats"] == metrics_pb2.ListPartitionStatsRequest(
            **bounds, sort_by=READS, reverse=True, offset=2, limit=3
        )
        assert asked["ListHotPartitions"] == metrics_pb2.ListHotPartitionsRequest(by=READS, limit=4)
        assert asked["EstimateRange"] == metrics_pb2.EstimateRangeRequest(**bounds)
        assert asked["GetSplitPoints"] == metrics_pb2.GetSplitPointsRequest(
            **bounds, piece_bytes=5, across_partitions=True
        )
        assert asked["GetHistory"] == metrics_pb2.GetHistoryRequest(
            figure=READS, **bounds, from_ms=1, to_ms=2, max_rows=3, max_columns=4
        )


async def test_a_range_without_an_end_and_an_empty_one_are_told_apart() -> None:
    async with asked_of() as (metrics, service):
        await metrics.estimate(KeyRange())
        await metrics.estimate(KeyRange(b"", b""))
        assert [(request.start, request.end) for _, request in service.asked] == [(b"", b""), (b"", b"\x00")]


async def test_what_is_out_of_bounds_is_not_sent() -> None:
    async with asked_of() as (metrics, service):
        for call in (
            metrics.split_points(RANGE),
            metrics.split_points(RANGE, pieces=1, piece_bytes=1),
            metrics.hot_partitions(metrics_pb2.FIGURE_LAG),
            metrics.history(metrics_pb2.FIGURE_UNSPECIFIED, RANGE),
            metrics.partition_stats(RANGE, limit=10_001),
            anext(metrics.watch(999)),
        ):
            with pytest.raises(InvalidArgument):
                await call
        assert not service.asked


async def test_a_server_without_an_answer_is_said_to_be_late_and_no_change_is_spoken_of() -> None:
    async with asked_of(seconds=0.2) as (metrics, service):
        service.answers["EstimateRange"] = "hang"
        with pytest.raises(DeadlineExceeded) as caught:
            await metrics.estimate(RANGE)
        assert "the metrics service did not answer within 0.2 s" in str(caught.value)
        assert "change" not in str(caught.value)


async def test_a_stream_yields_until_its_reader_ends_it() -> None:
    async with asked_of() as (metrics, service):
        async with aclosing(metrics.watch(1_000)) as stream:
            assert [(await anext(stream)).partitions for _ in range(3)] == [1, 1, 1]
            assert metrics.in_progress == 1
        assert service.asked == [("WatchStats", metrics_pb2.WatchStatsRequest(interval_ms=1_000))]
        assert metrics.in_progress == 0
        await eventually(lambda: service.streams == 0)


async def test_a_stream_that_breaks_or_is_refused_is_not_serving() -> None:
    async with asked_of() as (metrics, service):
        async with aclosing(metrics.watch()) as stream:
            await anext(stream)
            await service.server.stop(0)
            with pytest.raises(NotServing):
                await drained(stream)
        with pytest.raises(NotServing, match="cannot be reached"):
            await anext(metrics.watch())


async def test_a_refusal_of_a_stream_is_the_error_that_the_server_raised() -> None:
    async with asked_of() as (metrics, service):
        service.answers["WatchStats"] = NotServing("there is no partition map yet", 0.3)
        with pytest.raises(NotServing, match="there is no partition map yet"):
            await anext(metrics.watch())


async def test_a_stream_that_stops_sending_is_given_up() -> None:
    async with asked_of(seconds=0.1) as (metrics, service):
        service.silent = True
        with pytest.raises(NotServing, match=r"has sent nothing for 1\.1 s"):
            await anext(metrics.watch(1_000))
