"""A MetricsApi over plain data: held to the contract, without nodes, a history or etcd."""

import asyncio
import itertools
import math
from collections.abc import AsyncGenerator, Iterable, Mapping
from typing import Any

import numpy as np
from typing_extensions import override

from dstk.v1 import metrics_pb2
from dstk_keytypes import KeyRange
from dstk_metrics.application.api import MetricsApi
from dstk_metrics.domain.advice import advice
from dstk_metrics.domain.figures import Figure
from dstk_metrics.domain.prefixes import Prefix
from dstk_service import metrics_requests
from dstk_service.errors import NotServing
from kit import metrics_data

FIELDS: Mapping[int, str] = {
    metrics_pb2.FIGURE_READS: "reads",
    metrics_pb2.FIGURE_WRITES: "writes",
    metrics_pb2.FIGURE_SCANNED: "scanned",
    metrics_pb2.FIGURE_READ_BYTES: "read_bytes",
    metrics_pb2.FIGURE_WRITTEN_BYTES: "written_bytes",
    metrics_pb2.FIGURE_TIME: "time",
    metrics_pb2.FIGURE_RECORDS: "records",
    metrics_pb2.FIGURE_BYTES: "bytes",
    metrics_pb2.FIGURE_LAG: "lag_entries",
}
FAILURES = metrics_pb2.FIGURE_FAILURES
GAP = (0.30, 0.36)
"""The part of the time of a history in which nothing is known of any range."""


def figure_of(stats: metrics_pb2.PartitionStats, figure: int) -> float:
    """A figure of a partition."""
    if figure == FAILURES:
        return stats.failures.refused + stats.failures.server
    return float(getattr(stats, FIELDS[figure]))


class FakeMetrics(MetricsApi):
    """Answers from `partitions`. `trouble`: raised by every call. `live`: how many streams run now."""

    def __init__(self, partitions: Iterable[metrics_pb2.PartitionStats] = (), nodes: int = 3) -> None:
        self.partitions, self.nodes = list(partitions), nodes
        self.now_ms = metrics_data.NOW_MS
        self.trouble: Exception | None = None
        self.live = 0
        self.steps = 0
        """Totals that were computed."""
        self._orders: dict[tuple[int, bool], list[metrics_pb2.PartitionStats]] = {}

    def sort(self, *figures: int) -> None:
        """Sorts by these figures beforehand, as the service keeps its partitions sorted."""
        for figure in figures:
            self._ordered(figure, reverse=False)

    @override
    async def list_partition_stats(
        self, request: metrics_pb2.ListPartitionStatsRequest
    ) -> metrics_pb2.ListPartitionStatsResponse:
        metrics_requests.partition_stats(request)
        self._check()
        rows = self._ordered(request.sort_by, reverse=request.reverse)
        if request.start or request.end:
            rows = [each for each in rows if _range(request).intersects(_range(each))]
        page = rows[request.offset : request.offset + (request.limit or 100)]
        return metrics_pb2.ListPartitionStatsResponse(partitions=page, total=len(rows), at_ms=self.now_ms)

    @override
    async def list_hot_partitions(
        self, request: metrics_pb2.ListHotPartitionsRequest
    ) -> metrics_pb2.ListHotPartitionsResponse:
        metrics_requests.hot_partitions(request)
        self._check()
        figures = [request.by] if request.by else metrics_requests.LOADS
        answer = metrics_pb2.ListHotPartitionsResponse()
        for figure in figures:
            rule = metrics_pb2.HotRule(by=figure, threshold=20_000, floor=128, top=60, reports=5, window_s=50)
            answer.rules.append(rule)
            total = sum(figure_of(each, figure) for each in self.partitions)
            for stats in self.partitions:
                if figure == metrics_pb2.FIGURE_READS and (load := figure_of(stats, figure)) >= rule.threshold:
                    answer.partitions.append(_hot(stats, load, load / total, len(self.partitions)))
        return answer

    @override
    async def estimate_range(self, request: metrics_pb2.EstimateRangeRequest) -> metrics_pb2.EstimateRangeResponse:
        metrics_requests.estimate(request)
        self._check()
        inside = [each for each in self.partitions if _range(request).intersects(_range(each))]
        records, size = sum(each.records for each in inside), sum(each.bytes for each in inside)
        return metrics_pb2.EstimateRangeResponse(
            records=records,
            records_low=records * 9 // 10,
            records_high=records * 11 // 10,
            bytes=size,
            bytes_low=size * 9 // 10,
            bytes_high=size * 11 // 10,
            partitions=len(inside),
        )

    @override
    async def get_split_points(self, request: metrics_pb2.GetSplitPointsRequest) -> metrics_pb2.GetSplitPointsResponse:
        metrics_requests.split_points(request)
        self._check()
        pieces = [
            metrics_pb2.RangePiece(start=each.start, end=each.end, records=each.records, bytes=each.bytes)
            for each in self.partitions
            if _range(request).intersects(_range(each))
        ]
        return metrics_pb2.GetSplitPointsResponse(pieces=pieces)

    @override
    async def get_history(self, request: metrics_pb2.GetHistoryRequest) -> metrics_pb2.GetHistoryResponse:
        metrics_requests.history(request)
        self._check()
        inside = [each for each in self.partitions if _range(request).intersects(_range(each))]
        rows = inside[:: max(1, math.ceil(len(inside) / (request.max_rows or 512)))]
        until = request.to_ms or self.now_ms
        begin = request.from_ms or until - 3_600_000
        columns = min(request.max_columns or 512, max(1, (until - begin) // 60_000))
        times = list(metrics_data.column_times(begin, until, columns))
        return metrics_pb2.GetHistoryResponse(
            figure=request.figure,
            row_starts=[max(each.start, request.start) for each in rows],
            end=request.end,
            column_times_ms=times,
            until_ms=until,
            values=_matrix(rows, times, request.figure).astype("<f4").tobytes(),
            row_nodes=[each.primary for each in rows],
            row_partitions=[each.partition_id for each in rows],
        )

    @override
    async def watch_stats(
        self, request: metrics_pb2.WatchStatsRequest
    ) -> AsyncGenerator[metrics_pb2.ClusterStats, None]:
        metrics_requests.watch(request)
        self._check()
        self.live += 1
        try:
            for step in itertools.count():
                self._check()
                self.steps += 1
                total = metrics_data.totals(self.partitions, self.now_ms + step * 1000, self.nodes)
                total.reads *= 1 + 0.05 * math.sin(step)
                yield total
                await asyncio.sleep((request.interval_ms or 10_000) / 1000)
        finally:
            self.live -= 1

    def _check(self) -> None:
        if self.trouble is not None:
            raise self.trouble

    def _ordered(self, figure: int, *, reverse: bool) -> list[metrics_pb2.PartitionStats]:
        key = figure, reverse
        if key not in self._orders:
            rows = self.partitions
            if figure:
                rows = sorted(rows, key=lambda each: -figure_of(each, figure))
            self._orders[key] = rows[::-1] if reverse else rows
        return self._orders[key]


class NoMap(FakeMetrics):
    """A service that has no partition map yet."""

    @override
    def _check(self) -> None:
        raise NotServing("there is no partition map yet", 1.0)


def _range(each: Any) -> KeyRange:
    return KeyRange(each.start, each.end or None)


def _hot(stats: metrics_pb2.PartitionStats, load: float, share: float, count: int) -> metrics_pb2.HotPartition:
    prefix = metrics_pb2.HotPrefix(prefix=stats.start, share=0.72, is_key=False)
    key = metrics_pb2.HotPrefix(prefix=stats.start + b"\x05\x01", share=0.31, is_key=True)
    return metrics_pb2.HotPartition(
        stats=stats,
        by=metrics_pb2.FIGURE_READS,
        load=load,
        share=share,
        skew=share * count,
        hot_for_s=312.0,
        prefixes=[prefix, key],
        samples=640,
        advice=advice(stats.partition_id, stats.primary, Figure.READS, [Prefix(stats.start, 0.72, is_key=False)], 1),
    )


def _matrix(rows: list[metrics_pb2.PartitionStats], times: list[int], figure: int) -> Any:
    base = np.array([figure_of(each, figure) for each in rows]).reshape(-1, 1)
    phase = np.array(times) / 600_000
    wave = 1 + 0.35 * np.sin(phase + np.arange(len(rows)).reshape(-1, 1) / 7)
    values = base * (
        wave if figure not in (metrics_pb2.FIGURE_RECORDS, metrics_pb2.FIGURE_BYTES) else np.ones_like(wave)
    )
    first, last = (int(part * len(times)) for part in GAP)
    values[:, first:last] = np.nan
    return values
