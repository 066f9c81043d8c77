"""Figures of single partitions within a budget: the busiest and the largest have series of their own, the others a sum."""

from collections.abc import Iterator, Sequence
from heapq import nlargest

from dstk_keytypes import PartitionId
from dstk_storage.domain.partition import Activity, Partition
from dstk_telemetry.metrics.instruments import Sample
from dstk_telemetry.registry import partitions
from dstk_telemetry.registry.labels import TOP_PARTITIONS

Counts = tuple[int, int]
"""Reads and writes."""


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

    def update(self, led: Sequence[Partition]) -> None:
        """Takes the figures of all partitions that the node leads now."""
        fresh, estimates = self._fresh(led), [partition.estimate for partition in led]
        sizes = [estimate.bytes for estimate in estimates]
        busiest = [each[0] for each in nlargest(self._top, fresh, key=lambda each: each[1] + each[2])]
        largest = [led[at] for _, at in nlargest(self._top, zip(sizes, range(len(led)), strict=True))]
        shown = {partition.id: partition for partition in (*busiest, *largest)}
        for partition, reads, writes in fresh:
            if partition.id not in shown:
                self._reads += reads
                self._writes += writes
        self._shown = [(partition, _counts(partition.activity)) for partition in shown.values()]
        self._bytes = sum(sizes) - sum(each.estimate.bytes for each in shown.values())
        self._records = sum([estimate.records for estimate in estimates])
        self._records -= sum(each.estimate.records for each in shown.values())

    def samples(self) -> Iterator[Sample]:
        """The figures as of the last update."""
        for partition, (reads, writes) in self._shown:
            yield from _of(str(partition.id), reads, writes, partition.estimate.records, partition.estimate.bytes)
        yield from _of(partitions.OTHERS, self._reads, self._writes, max(0.0, self._records), max(0.0, self._bytes))

    def _fresh(self, led: Sequence[Partition]) -> list[tuple[Partition, int, int]]:
        """The partitions that were used since the last update, with how many reads and writes. One that came back to this node
        counts from zero.
        """
        before, seen, fresh = self._seen, dict[PartitionId, Counts](), []
        for partition in led:
            activity = partition.activity
            reads, writes = activity.reads, activity.writes
            if not (reads or writes):
                continue
            seen[partition.id] = reads, writes
            old_reads, old_writes = before.get(partition.id, (0, 0))
            if reads < old_reads or writes < old_writes:
                old_reads = old_writes = 0
            if reads > old_reads or writes > old_writes:
                fresh.append((partition, reads - old_reads, writes - old_writes))
        self._seen = seen
        return fresh


def _counts(activity: Activity) -> Counts:
    return activity.reads, activity.writes


def _of(name: str, reads: float, writes: float, records: float, size: float) -> Iterator[Sample]:
    yield partitions.READS, (name,), reads
    yield partitions.WRITES, (name,), writes
    yield partitions.RECORDS, (name,), records
    yield partitions.SIZE, (name,), size
