"""The calls of dstk.v1.Metrics, each passed to the part that answers it."""

from collections.abc import AsyncGenerator

from dstk.v1 import metrics_pb2
from dstk_metrics.application.history import HistoryAnswers
from dstk_metrics.application.hot import HotLists
from dstk_metrics.application.ranges import RangeAnswers
from dstk_metrics.application.stats import PartitionLists, TotalsStreams


class Metrics:
    """What gRPC and the console call; MetricsApi says what each call promises."""

    def __init__(
        self,
        *,
        lists: PartitionLists,
        hot: HotLists,
        ranges: RangeAnswers,
        history: HistoryAnswers,
        streams: TotalsStreams,
    ) -> None:
        self._lists, self._hot, self._ranges = lists, hot, ranges
        self._history, self._streams = history, streams

    async def list_partition_stats(
        self, request: metrics_pb2.ListPartitionStatsRequest
    ) -> metrics_pb2.ListPartitionStatsResponse:
        """Partitions by key or by a figure."""
        return self._lists.answer(request)

    async def list_hot_partitions(
        self, request: metrics_pb2.ListHotPartitionsRequest
    ) -> metrics_pb2.ListHotPartitionsResponse:
        """Hot partitions, and why they are."""
        return self._hot.answer(request)

    async def estimate_range(self, request: metrics_pb2.EstimateRangeRequest) -> metrics_pb2.EstimateRangeResponse:
        """How large a range is."""
        return await self._ranges.estimate(request)

    async def get_split_points(self, request: metrics_pb2.GetSplitPointsRequest) -> metrics_pb2.GetSplitPointsResponse:
        """Where to cut a range."""
        return await self._ranges.split_points(request)

    async def get_history(self, request: metrics_pb2.GetHistoryRequest) -> metrics_pb2.GetHistoryResponse:
        """A figure over key space and time."""
        return await self._history.answer(request)

    def watch_stats(self, request: metrics_pb2.WatchStatsRequest) -> AsyncGenerator[metrics_pb2.ClusterStats, None]:
        """The cluster's totals, again and again."""
        return self._streams.answers(request)
