"""A partition as its node sees it, and the table that finds the one that a key belongs to."""

import asyncio
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from dstk_keytypes import KeyRange, PartitionId
from dstk_storage.domain.activity import Activity
from dstk_storage.domain.batch import Outcome
from dstk_storage.domain.compared import Compared
from dstk_storage.domain.errors import Corrupt, LeaseOver, NotOwned, StorageError
from dstk_storage.domain.estimate import Estimate
from dstk_storage.domain.history import History
from dstk_storage.domain.lease import FOR_EVER, Lease
from dstk_storage.domain.log import PartitionLog
from dstk_storage.domain.pending import PendingBatches


class Part(NamedTuple):
    """A part of a merged partition, as it was before the merge."""

    range: KeyRange
    history: History


@dataclass(slots=True, eq=False)
class Partition:
    """A key range of which this node holds a replica. `log` numbers its writes, through restart, split and merge."""

    id: PartitionId
    range: KeyRange
    epoch: int
    log: PartitionLog = field(default_factory=PartitionLog)
    estimate: Estimate = field(default_factory=Estimate)
    activity: Activity = field(default_factory=Activity)
    quarantined: bool = False
    pending: PendingBatches = field(default_factory=PendingBatches)
    """Its batches, as long as this node is the primary, that have not ended."""
    lease: Lease = FOR_EVER
    """Until when this node serves it."""
    closed: bool = False
    """No write is let in, so that it comes to rest for a change of the map."""
    needs_snapshot: bool = False
    """What lies on disk is no consistent whole: a snapshot is to be installed, or is being installed."""
    persisting: "asyncio.Future[Outcome] | None" = None
    """Done when its present range is on disk; None: it is. A power failure may take back what the replica says before (R14)."""
    snapshot_attempt: int | None = None
    """While `needs_snapshot`: the snapshot that the records on disk come from; None: none has begun in this engine (R12)."""
    parts: tuple[Part, ...] = ()
    """The parts that it was merged from: after a failed write the disk may still have these instead."""
    dropped: bool = False
    """The node holds it no more: what is still on its way to disk is left out."""
    compared: Compared | None = None
    """The last comparison of the partition's replicas that this node has made."""
    removed: int = 0
    """Records that were removed since the process started."""
    garbage: int = 0
    """Bytes that removed records still take on disk, roughly."""

    def abandon(self, reason: StorageError) -> None:
        """Fails its batches that this disk was not given: the partition has another primary."""
        self.pending.abandon(reason)

    def compacted(self, size: int) -> None:
        """So many bytes of garbage take no space any more; others may have been removed meanwhile."""
        self.garbage = max(0, self.garbage - size)


def check_lease(partition: Partition, now: float) -> None:
    """Raises LeaseOver."""
    if partition.lease.end <= now:
        raise LeaseOver(f"partition {partition.id} waits for its followers")


class PartitionTable:
    """The partitions that this node serves, found by key in O(log n).

    Invariant: they are sorted and do not overlap; gaps are the ranges of other nodes.
    """

    def __init__(self, partitions: Iterable[Partition] = ()) -> None:
        self._partitions = sorted(partitions, key=lambda partition: partition.range.start)
        self._starts = [partition.range.start for partition in self._partitions]
        for lower, upper in zip(self._partitions, self._partitions[1:], strict=False):
            end = lower.range.end
            assert end is not None and end <= upper.range.start, f"{lower.range} overlaps {upper.range}"  # noqa: PT018

    def __iter__(self) -> Iterator[Partition]:
        return iter(self._partitions)

    def __len__(self) -> int:
        return len(self._partitions)

    def holder(self, key: bytes) -> Partition | None:
        """The partition that has `key` in its range, at any epoch, quarantined or not; None: there is none here."""
        at = bisect_right(self._starts, key) - 1
        if at < 0:
            return None
        end = self._partitions[at].range.end
        return self._partitions[at] if end is None or key < end else None

    def holder_below(self, end: bytes | None) -> Partition | None:
        """As `holder`, for the keys just below `end`; None: for the last keys."""
        at = (len(self._starts) if end is None else bisect_left(self._starts, end)) - 1
        if at < 0:
            return None
        last = self._partitions[at].range.end
        return self._partitions[at] if last is None or (end is not None and end <= last) else None

    def owner(self, key: bytes, epoch: int = 0) -> Partition:
        """The partition of `key`. `epoch` 0: any. Raises NotOwned, Corrupt."""
        at = bisect_right(self._starts, key) - 1
        if at >= 0:
            partition = self._partitions[at]
            end = partition.range.end
            if (end is None or key < end) and (not epoch or epoch == partition.epoch):
                if partition.quarantined:
                    raise Corrupt(f"partition {partition.id} is quarantined")
                return partition
        raise NotOwned(key)

    def owner_below(self, end: bytes | None, epoch: int = 0) -> Partition:
        """The partition of the keys just below `end` (None: of the last keys). Raises NotOwned, Corrupt."""
        partition = self.holder_below(end)
        if partition is None or (epoch and epoch != partition.epoch):
            raise NotOwned(end if end is not None else b"", before=True)
        if partition.quarantined:
            raise Corrupt(f"partition {partition.id} is quarantined")
        return partition

    def stretch(self, first: Partition, wanted: KeyRange, *, reverse: bool) -> list[Partition]:
        """`first` and those behind it (before it, in reverse) without a gap, as far as `wanted` reaches and none is
        quarantined; in order of keys.
        """
        at = bisect_left(self._starts, first.range.start)
        low = high = at
        while reverse and low > 0 and self._partitions[low].range.start > wanted.start:
            below = self._partitions[low - 1]
            if below.range.end != self._partitions[low].range.start or below.quarantined:
                break
            low -= 1
        while not reverse and high + 1 < len(self) and wanted.contains(self._starts[high + 1]):
            above = self._partitions[high + 1]
            if self._partitions[high].range.end != above.range.start or above.quarantined:
                break
            high += 1
        return self._partitions[low : high + 1]
