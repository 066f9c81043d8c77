"""Figures of single partitions within a budget: the busiest and the largest have series of their own, the others a sum."""

from collections.abc import Iterator, Mapping, Sequence
from heapq import nlargest
from operator import itemgetter

from dstk_keytypes import PartitionId
from dstk_storage.application.replica_survey import Pause, in_chunks
from dstk_storage.domain.partition import Partition
from dstk_telemetry.metrics.instruments import Sample
from dstk_telemetry.registry import partitions
from dstk_telemetry.registry.labels import TOP_PARTITIONS

Counts = tuple[int, int]
"""Reads and writes."""

NONE: Counts = (0, 0)

Ranked = tuple[float, Partition]
"""A partition and its place among others: the larger, the further ahead."""

_rank = itemgetter(0)


class PartitionBudget:
    """Keeps the counters of the others from falling, whichever partitions come and go.

    Invariant: what a partition does between two updates is counted once: in its own series if it has one after the second
    update, else in the sums.
    """

    def __init__(self, top: int = TOP_PARTITIONS) -> None:
        self._top = top
        self._seen: dict[PartitionId, Counts] = {}
        """Of each partition that was ever used, at the last update."""
        self._reads = self._writes = 0
        """Of the others, since the process started."""
        self._shown: Sequence[tuple[Partition, Counts]] = ()
        self._records = self._bytes = 0.0
        """Of the others."""

    async def update(self, led: Sequence[Partition], pause: Pause) -> None:
        """Takes the figures of all partitions that the node leads now. Must not be called while it runs."""
        found = _Found(self._top)
        async for chunk in in_chunks(led, pause):
            found.look(chunk, self._seen)
        self._take(found)

    def _take(self, found: "_Found") -> None:
        shown = {partition.id: partition for partition in found.ranked()}
        own = [_done(found.seen.get(each, NONE), self._seen.get(each, NONE)) for each in shown]
        self._reads += found.reads - sum(reads for reads, _ in own)
        self._writes += found.writes - sum(writes for _, writes in own)
        self._shown = [(partition, found.seen.get(each, NONE)) for each, partition in shown.items()]
        self._records = found.records - sum(each.estimate.records for each in shown.values())
        self._bytes = found.bytes - sum(each.estimate.bytes for each in shown.values())
        self._seen = found.seen

    def samples(self) -> Iterator[Sample]:
        """The figures as of the last update."""
        for partition, (reads, writes) in self._shown:
            yield from _of(str(partition.id), reads, writes, partition.estimate.records, partition.estimate.bytes)
        yield from _of(partitions.OTHERS, self._reads, self._writes, max(0.0, self._records), max(0.0, self._bytes))


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


def _of(name: str, reads: float, writes: float, records: float, size: float) -> Iterator[Sample]:
    yield partitions.READS, (name,), reads
    yield partitions.WRITES, (name,), writes
    yield partitions.RECORDS, (name,), records
    yield partitions.SIZE, (name,), size
