"""The Metrics service of the router: checks a request and passes it on to a metrics service."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import TypeVar

import grpc
from google.protobuf.message import Message
from typing_extensions import override

from dstk.v1 import metrics_pb2, metrics_pb2_grpc
from dstk_client.core import ROUTER_SHARE
from dstk_router.metrics_services import MetricsMethod, MetricsServices
from dstk_service import metrics_requests

T = TypeVar("T")

CALL_SECONDS = 30.0
"""The timeout of a call without a deadline. Large ranges take longer to measure than records to read."""

MAX_CALL_SECONDS = 600.0


class MetricsServicer(metrics_pb2_grpc.MetricsServicer):
    """Passes calls on to any metrics service, and unary answers as the bytes that arrive. All calls only read, so that one may
    be made twice.
    """

    def __init__(self, services: MetricsServices) -> None:
        self._services = services

    @override
    async def ListPartitionStats(
        self, request: metrics_pb2.ListPartitionStatsRequest, context: grpc.aio.ServicerContext
    ) -> metrics_pb2.ListPartitionStatsResponse:
        metrics_requests.partition_stats(request)
        return await self._pass_on(lambda metrics: metrics.ListPartitionStats, request, context)

    @override
    async def ListHotPartitions(
        self, request: metrics_pb2.ListHotPartitionsRequest, context: grpc.aio.ServicerContext
    ) -> metrics_pb2.ListHotPartitionsResponse:
        metrics_requests.hot_partitions(request)
        return await self._pass_on(lambda metrics: metrics.ListHotPartitions, request, context)

    @override
    async def EstimateRange(
        self, request: metrics_pb2.EstimateRangeRequest, context: grpc.aio.ServicerContext
    ) -> metrics_pb2.EstimateRangeResponse:
        metrics_requests.estimate(request)
        return await self._pass_on(lambda metrics: metrics.EstimateRange, request, context)

    @override
    async def GetSplitPoints(
        self, request: metrics_pb2.GetSplitPointsRequest, context: grpc.aio.ServicerContext
    ) -> metrics_pb2.GetSplitPointsResponse:
        metrics_requests.split_points(request)
        return await self._pass_on(lambda metrics: metrics.GetSplitPoints, request, context)

    @override
    async def GetHistory(
        self, request: metrics_pb2.GetHistoryRequest, context: grpc.aio.ServicerContext
    ) -> metrics_pb2.GetHistoryResponse:
        metrics_requests.history(request)
        return await self._pass_on(lambda metrics: metrics.GetHistory, request, context)

    @override
    async def WatchStats(
        self, request: metrics_pb2.WatchStatsRequest, context: grpc.aio.ServicerContext
    ) -> AsyncIterator[metrics_pb2.ClusterStats]:
        metrics_requests.watch(request)
        async with aclosing(self._services.watch(request.interval_ms)) as stream:
            async for stats in stream:
                yield stats

    async def _pass_on(self, method: MetricsMethod[T], request: Message, context: grpc.aio.ServicerContext) -> T:
        remaining = context.time_remaining()
        seconds = CALL_SECONDS if remaining is None else min(MAX_CALL_SECONDS, remaining * ROUTER_SHARE)
        return await self._services.read(method, request, seconds)
