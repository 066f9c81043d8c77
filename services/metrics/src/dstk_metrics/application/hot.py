"""Hot partitions: followed all the time, and listed with the reasons."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from typing_extensions import override

from dstk.v1 import metrics_pb2
from dstk_metrics.application.rows import messages
from dstk_metrics.application.stats import check_map
from dstk_metrics.domain import hot
from dstk_metrics.domain.advice import advice
from dstk_metrics.domain.book import Book
from dstk_metrics.domain.columns import LOADS, REPORTS
from dstk_metrics.domain.figures import Figure
from dstk_metrics.domain.hot import Heat, Hot
from dstk_metrics.domain.pace import Pace
from dstk_metrics.domain.prefixes import Prefix, frequent
from dstk_service import metrics_requests
from dstk_service.clock import Clock
from dstk_service.service import Background, Part

LOOK_SECONDS = 2.0
LISTED = 20
PREFIXES = 5


class HeatFollower(Part):
    """Keeps in mind since when partitions are hot."""

    name = "heat"

    def __init__(self, heat: Heat, clock: Clock) -> None:
        self._heat, self._clock = heat, clock

    @override
    async def start(self, background: Background) -> None:
        background(self._run())

    async def _run(self) -> None:
        while True:
            self._heat.update(self._clock.monotonic())
            await self._clock.sleep(LOOK_SECONDS)


class HotLists:
    """Answers ListHotPartitions."""

    def __init__(self, book: Book, heat: Heat, clock: Clock, pace: Pace, stale_after_s: float) -> None:
        self._book, self._heat, self._clock, self._pace = book, heat, clock, pace
        self._stale_after_s = stale_after_s

    def answer(self, request: metrics_pb2.ListHotPartitionsRequest) -> metrics_pb2.ListHotPartitionsResponse:
        """The hot partitions, and the rules. Raises InvalidArgument, NotServing."""
        metrics_requests.hot_partitions(request)
        check_map(self._book)
        self._heat.update(self._clock.monotonic())
        figures = [Figure(request.by)] if request.by else LOADS
        response = metrics_pb2.ListHotPartitionsResponse(rules=[self._rule(by) for by in figures])
        for by in figures:
            response.partitions.extend(self._listed(self._heat.hottest(by, request.limit or LISTED)))
        return response

    def _rule(self, by: Figure) -> metrics_pb2.HotRule:
        return metrics_pb2.HotRule(
            by=metrics_pb2.Figure.ValueType(by),
            threshold=self._heat.rules[by].threshold,
            floor=hot.FLOORS[by],
            top=hot.TOP,
            skew=hot.SKEW,
            reports=REPORTS,
            window_s=REPORTS * self._pace.seconds,
        )

    def _listed(self, found: Sequence[Hot]) -> list[metrics_pb2.HotPartition]:
        if not found:
            return []
        now = self._clock.monotonic()
        rows = messages(self._book, np.array([each.slot for each in found]), now, self._stale_after_s)
        nodes = Counter(self._primary(slot) for slot in self._heat.hot(found[0].by).tolist())
        return [self._explained(each, row, nodes, now) for each, row in zip(found, rows, strict=True)]

    def _explained(
        self, found: Hot, row: metrics_pb2.PartitionStats, nodes: Counter[str], now: float
    ) -> metrics_pb2.HotPartition:
        keys = [key for report in self._book.columns.keys[found.slot] for key in report]
        prefixes = frequent(keys, PREFIXES)
        return metrics_pb2.HotPartition(
            stats=row,
            by=metrics_pb2.Figure.ValueType(found.by),
            load=found.load,
            share=found.share,
            skew=found.skew,
            hot_for_s=now - found.since,
            prefixes=map(_prefix, prefixes),
            samples=len(keys),
            advice=advice(row.partition_id, row.primary, found.by, prefixes, nodes[row.primary]),
        )

    def _primary(self, slot: int) -> str:
        info = self._book.layout.infos[slot]
        return info.primary if info else ""


def _prefix(found: Prefix) -> metrics_pb2.HotPrefix:
    return metrics_pb2.HotPrefix(prefix=found.prefix, share=found.share, is_key=found.is_key)
