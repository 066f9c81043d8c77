"""dstk.v1.Metrics over gRPC."""

from collections.abc import AsyncIterator
from contextlib import aclosing

import grpc
from typing_extensions import override

from dstk.v1 import metrics_pb2, metrics_pb2_grpc
from dstk_metrics.application.metrics import Metrics


class MetricsServicer(metrics_pb2_grpc.MetricsServicer):
    """Passes calls on to the service's one implementation."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    @override
    async def ListPartitionStats(
        self, request: metrics_pb2.ListPartitionStatsRequest, context: grpc.aio.ServicerContext
    ) -> metrics_pb2.ListPartitionStatsResponse:
        return await self._metrics.list_partition_stats(request)

    @override
    async def ListHotPartitions(
        self, request: metrics_pb2.ListHotPartitionsRequest, context: grpc.aio.ServicerContext
    ) -> metrics_pb2.ListHotPartitionsResponse:
        return await self._metrics.list_hot_partitions(request)

    @override
    async def EstimateRange(
        self, request: metrics_pb2.EstimateRangeRequest, context: grpc.aio.ServicerContext
    ) -> metrics_pb2.EstimateRangeResponse:
        return await self._metrics.estimate_range(request)

    @override
    async def GetSplitPoints(
        self, request: metrics_pb2.GetSplitPointsRequest, context: grpc.aio.ServicerContext
    ) -> metrics_pb2.GetSplitPointsResponse:
        return await self._metrics.get_split_points(request)

    @override
    async def GetHistory(
        self, request: metrics_pb2.GetHistoryRequest, context: grpc.aio.ServicerContext
    ) -> metrics_pb2.GetHistoryResponse:
        return await self._metrics.get_history(request)

    @override
    async def WatchStats(
        self, request: metrics_pb2.WatchStatsRequest, context: grpc.aio.ServicerContext
    ) -> AsyncIterator[metrics_pb2.ClusterStats]:
        async with aclosing(self._metrics.watch_stats(request)) as answers:
            async for answer in answers:
                yield answer
