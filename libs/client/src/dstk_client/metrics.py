"""The client of the Metrics service: one typed method for each call, to a router or to a metrics service."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import grpc

from dstk.v1 import metrics_pb2, metrics_pb2_grpc
from dstk_client.operation import UNREADABLE
from dstk_client.unary_calls import UNREACHABLE_SECONDS, UnaryCalls
from dstk_keytypes import KeyRange
from dstk_service import metrics_requests
from dstk_service.errors import NotServing
from dstk_service.transport.grpc_connector import end
from dstk_service.transport.port import Channel

UNSPECIFIED = metrics_pb2.FIGURE_UNSPECIFIED
DEFAULT_INTERVAL_MS = 10_000
"""Between the messages of WatchStats, unless another interval is asked for."""


class MetricsClient(UnaryCalls[metrics_pb2_grpc.MetricsStub]):
    """Metrics calls over one channel. A request outside its bounds raises InvalidArgument and is not sent.

    `where` names the server in errors; `seconds` is the timeout of a call; `stub`: another one than that of the channel. All
    methods raise DstkError: NotServing when the server, or a node that it needs, does not answer; DeadlineExceeded when time is
    up. They change nothing, and may be repeated.
    """

    def __init__(
        self,
        channel: Channel,
        where: str,
        seconds: float,
        *,
        one_of_many: bool = False,
        stub: metrics_pb2_grpc.MetricsStub | None = None,
    ) -> None:
        super().__init__(channel, stub or metrics_pb2_grpc.MetricsStub(channel), where, one_of_many=one_of_many)
        self._seconds = seconds

    async def partition_stats(
        self,
        key_range: KeyRange,
        *,
        sort_by: metrics_pb2.Figure.ValueType = UNSPECIFIED,
        reverse: bool = False,
        offset: int = 0,
        limit: int = 0,
    ) -> metrics_pb2.ListPartitionStatsResponse:
        """Partitions with keys of the range, by key or by a figure. `limit` 0: 100."""
        request = metrics_pb2.ListPartitionStatsRequest(
            **_bounds(key_range), sort_by=sort_by, reverse=reverse, offset=offset, limit=limit
        )
        metrics_requests.partition_stats(request)
        return await self.read(lambda metrics: metrics.ListPartitionStats, request, self._seconds)

    async def hot_partitions(
        self, by: metrics_pb2.Figure.ValueType = UNSPECIFIED, limit: int = 0
    ) -> metrics_pb2.ListHotPartitionsResponse:
        """Hot partitions, the rules by which they are, and why. UNSPECIFIED: by each load. `limit` 0: 20 of each."""
        request = metrics_pb2.ListHotPartitionsRequest(by=by, limit=limit)
        metrics_requests.hot_partitions(request)
        return await self.read(lambda metrics: metrics.ListHotPartitions, request, self._seconds)

    async def estimate(self, key_range: KeyRange) -> metrics_pb2.EstimateRangeResponse:
        """How many records and bytes a range has, with bounds."""
        request = metrics_pb2.EstimateRangeRequest(**_bounds(key_range))
        metrics_requests.estimate(request)
        return await self.read(lambda metrics: metrics.EstimateRange, request, self._seconds)

    async def split_points(
        self,
        key_range: KeyRange,
        *,
        piece_bytes: int = 0,
        piece_records: int = 0,
        pieces: int = 0,
        across_partitions: bool = False,
    ) -> list[metrics_pb2.RangePiece]:
        """Cuts a range into pieces, in order of keys. One of the three sizes must be given."""
        request = metrics_pb2.GetSplitPointsRequest(
            **_bounds(key_range),
            piece_bytes=piece_bytes,
            piece_records=piece_records,
            pieces=pieces,
            across_partitions=across_partitions,
        )
        metrics_requests.split_points(request)
        answer: metrics_pb2.GetSplitPointsResponse = await self.read(
            lambda metrics: metrics.GetSplitPoints, request, self._seconds
        )
        return list(answer.pieces)

    async def history(
        self,
        figure: metrics_pb2.Figure.ValueType,
        key_range: KeyRange,
        *,
        from_ms: int = 0,
        to_ms: int = 0,
        max_rows: int = 0,
        max_columns: int = 0,
    ) -> metrics_pb2.GetHistoryResponse:
        """A figure over key space and time. Times in Unix ms; 0: an hour before the end, and now. 512 rows and columns, unless
        told otherwise.
        """
        request = metrics_pb2.GetHistoryRequest(
            figure=figure,
            **_bounds(key_range),
            from_ms=from_ms,
            to_ms=to_ms,
            max_rows=max_rows,
            max_columns=max_columns,
        )
        metrics_requests.history(request)
        return await self.read(lambda metrics: metrics.GetHistory, request, self._seconds)

    async def watch(self, interval_ms: int = 0) -> AsyncGenerator[metrics_pb2.ClusterStats, None]:
        """Yields the cluster's totals, at once and then every `interval_ms` (1,000..60,000; 0: 10,000), without an end.

        Raises NotServing when the stream breaks, ends, or is late by the timeout of a call.
        """
        request = metrics_pb2.WatchStatsRequest(interval_ms=interval_ms)
        metrics_requests.watch(request)
        self.in_progress += 1
        try:
            await self._connect(asyncio.get_running_loop().time() + self._seconds)
            call = self._stub.WatchStats(request)
            try:
                while True:
                    yield await self._next(call, (interval_ms or DEFAULT_INTERVAL_MS) / 1000 + self._seconds)
            finally:
                await end(call)
        finally:
            self.in_progress -= 1

    async def _next(self, call: Any, seconds: float) -> metrics_pb2.ClusterStats:
        try:
            async with asyncio.timeout(seconds):
                message = await call.read()
        except TimeoutError:
            raise NotServing(f"{self._where} has sent nothing for {seconds:g} s", UNREACHABLE_SECONDS) from None
        except grpc.aio.AioRpcError as error:
            raise self._error_of_read(error, seconds) from error
        if message is grpc.aio.EOF:
            raise NotServing(f"{self._where} ended the stream", UNREACHABLE_SECONDS)
        if message is None:
            raise NotServing(f"{self._where}: {UNREADABLE}", UNREACHABLE_SECONDS)
        assert isinstance(message, metrics_pb2.ClusterStats)
        return message


def _bounds(key_range: KeyRange) -> dict[str, bytes]:
    return {"start": key_range.start, "end": key_range.end or b""}
