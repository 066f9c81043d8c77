"""The calls of dstk.v1.Metrics, as gRPC and the console make them."""

from collections.abc import AsyncGenerator
from typing import Protocol

from dstk.v1 import metrics_pb2


class MetricsApi(Protocol):
    """What metrics.proto promises. Each call checks its request first and raises DstkError: InvalidArgument, or NotServing
    until there is a partition map.
    """

    async def list_partition_stats(
        self, request: metrics_pb2.ListPartitionStatsRequest
    ) -> metrics_pb2.ListPartitionStatsResponse:
        """Partitions by key or by a figure."""

    async def list_hot_partitions(
        self, request: metrics_pb2.ListHotPartitionsRequest
    ) -> metrics_pb2.ListHotPartitionsResponse:
        """Hot partitions, and why they are."""

    async def estimate_range(self, request: metrics_pb2.EstimateRangeRequest) -> metrics_pb2.EstimateRangeResponse:
        """How large a range is. Also raises NotServing when a node does not answer."""

    async def get_split_points(self, request: metrics_pb2.GetSplitPointsRequest) -> metrics_pb2.GetSplitPointsResponse:
        """Where to cut a range. Also raises NotServing when a node does not answer."""

    async def get_history(self, request: metrics_pb2.GetHistoryRequest) -> metrics_pb2.GetHistoryResponse:
        """A figure over key space and time."""

    def watch_stats(self, request: metrics_pb2.WatchStatsRequest) -> AsyncGenerator[metrics_pb2.ClusterStats, None]:
        """The cluster's totals, again and again, until the caller stops. Raises at the first step."""
