"""Figures of single partitions within a budget: the busiest and the largest have series of their own, the others a sum."""

from collections.abc import Iterator, Mapping, Sequence
from heapq import nlargest
from operator import itemgetter

from dstk_keytypes import PartitionId
from dstk_storage.application.replica_survey import Pause, in_chunks
from dstk_storage.domain.partition import Partition
from dstk_telemetry.metrics.instruments import Sample
from dstk_telemetry.metrics.top_series import Counted, TopSeries
from dstk_telemetry.registry import partitions
from dstk_telemetry.registry.labels import TOP_PARTITIONS

Counts = tuple[int, int]
"""Reads and writes."""

NONE: Counts = (0, 0)

Ranked = tuple[float, Partition]
"""A partition and its place among others: the larger, the further ahead."""

_rank = itemgetter(0)


class PartitionBudget:
    """The series of the partitions that the node leads: of the `top` busiest since the last update, and of as many of the
    largest.
    """

    def __init__(self, top: int = TOP_PARTITIONS) -> None:
        self._top = top
        self._seen: dict[PartitionId, Counts] = {}
        """Of each partition that was ever used, at the last update."""
        self._series = TopSeries[PartitionId](
            (partitions.READS, partitions.WRITES), (partitions.RECORDS, partitions.SIZE)
        )

    async def update(self, led: Sequence[Partition], pause: Pause) -> None:
        """Takes the figures of all partitions that the node leads now. Must not be called while it runs."""
        found = _Found(self._top)
        async for chunk in in_chunks(led, pause):
            found.look(chunk, self._seen)
        shown = {partition.id: self._counted(partition, found) for partition in found.ranked()}
        total = Counted((found.reads, found.writes), (found.records, found.bytes))
        self._series.update(shown, total, found.seen)
        self._seen = found.seen

    def samples(self) -> Iterator[Sample]:
        """The figures as of the last update."""
        return self._series.samples()

    def _counted(self, partition: Partition, found: "_Found") -> Counted:
        done = _done(found.seen.get(partition.id, NONE), self._seen.get(partition.id, NONE))
        return Counted(done, (partition.estimate.records, partition.estimate.bytes))


class _Found:
    """What an update has seen so far. It reads counters once: what a partition does meanwhile belongs to the next update."""

    def __init__(self, top: int) -> None:
        self._top = top
        self.seen: dict[PartitionId, Counts] = {}
        """Of each partition that was ever used."""
        self.reads = self.writes = 0
        """Of all of them, since the last update."""
        self.records = self.bytes = 0.0
        self.busiest: list[Ranked] = []
        self.largest: list[Ranked] = []

    def look(self, led: Sequence[Partition], before: Mapping[PartitionId, Counts]) -> None:
        """Adds these partitions. `before`: what was seen at the last update."""
        busy, large = list[Ranked](), list[Ranked]()
        for partition in led:
            activity, estimate = partition.activity, partition.estimate
            self.records += estimate.records
            self.bytes += estimate.bytes
            large.append((estimate.bytes, partition))
            if activity.reads or activity.writes:
                now = self.seen[partition.id] = activity.reads, activity.writes
                reads, writes = _done(now, before.get(partition.id, NONE))
                if reads or writes:
                    self.reads += reads
                    self.writes += writes
                    busy.append((reads + writes, partition))
        self.busiest = nlargest(self._top, self.busiest + busy, key=_rank)
        self.largest = nlargest(self._top, self.largest + large, key=_rank)

    def ranked(self) -> Iterator[Partition]:
        """The partitions that get series of their own; one may come twice."""
        return (partition for _, partition in (*self.busiest, *self.largest))


def _done(now: Counts, before: Counts) -> Counts:
    """Reads and writes between two looks. A partition that came back to this node counts from zero."""
    if now[0] < before[0] or now[1] < before[1]:
        return now
    return now[0] - before[0], now[1] - before[1]
