"""What one engine write takes to disk: batches of many partitions, and metadata."""

import asyncio
from dataclasses import dataclass, field

from dstk_keytypes import PartitionId
from dstk_storage.domain import layout
from dstk_storage.domain.batch import REPLICATED, Batch, Outcome
from dstk_storage.domain.errors import CommitFailed
from dstk_storage.domain.events import GroupCommitted
from dstk_storage.domain.partition import Partition

RESET = "the replica's log was reset during the write"


@dataclass(slots=True, eq=False)
class MetadataChanges:
    """Metadata that is to be written. No key is written and deleted: what came last counts."""

    changed: dict[Partition, None] = field(default_factory=dict)
    """Partitions whose range, epoch and position are to be written, as they are then."""
    other: dict[bytes, bytes | None] = field(default_factory=dict)
    """By engine key; None: to be deleted."""

    def persist(self, partition: Partition) -> None:
        """Writes a partition's metadata."""
        self.changed[partition] = None
        for key in layout.partition_keys(partition.id):
            self.other.pop(key, None)

    def delete(self, partition: PartitionId) -> None:
        """Deletes a partition's metadata."""
        self.changed = {other: None for other in self.changed if other.id != partition}
        self.other |= dict.fromkeys(layout.partition_keys(partition))

    def follow(self, earlier: "MetadataChanges") -> None:
        """Adds what is left to do of earlier changes."""
        persisted = {key for partition in self.changed for key in layout.partition_keys(partition.id)}
        kept = {partition: None for partition in earlier.changed if not self._deletes(partition)}
        self.changed = {**kept, **self.changed}
        self.other = {key: value for key, value in earlier.other.items() if key not in persisted} | self.other

    def _deletes(self, partition: Partition) -> bool:
        return layout.range_key(partition.id) in self.other


@dataclass(slots=True, eq=False)
class CommitGroup:
    """One engine write in the making. `done` gives its outcome; `opened`: monotonic seconds, when the first of it came."""

    done: "asyncio.Future[Outcome]"
    opened: float
    batches: list[Batch] = field(default_factory=list)
    metadata: MetadataChanges = field(default_factory=MetadataChanges)
    records: int = 0
    """Of all batches."""
    bytes: int = 0
    """Of the keys and values of all batches."""

    def add(self, batch: Batch) -> None:
        """Writes a batch."""
        assert batch.state is REPLICATED, f"a batch goes to disk when it is replicated, not {batch.state.name}"
        batch.generation = batch.partition.log.generation
        self.batches.append(batch)
        self.records += len(batch.keys)
        self.bytes += batch.bytes

    def leave_out_stale(self) -> None:
        """Fails the batches whose log has been reset since: the disk is not given them."""
        batches = self.batches
        if not [batch for batch in batches if batch.is_stale]:
            return
        self.batches, self.records, self.bytes = [], 0, 0
        for batch in batches:
            if batch.is_stale:
                batch.end(CommitFailed(RESET))
            else:
                self.add(batch)

    def count(self, begun: float, ended: float) -> None:
        """Tells the partitions that this node leads of their writes, which the engine wrote from `begun` until `ended`."""
        seconds_per_byte = (ended - begun) / max(1, self.bytes)
        for batch in self.batches:
            opened, writes = batch.opened, len(batch.keys) - batch.reaped
            if opened is not None and writes:
                busy = batch.bytes * seconds_per_byte
                batch.partition.activity.committed(writes, begun - opened, ended - opened, busy)

    def committed(self, begun: float, now: float) -> GroupCommitted:
        """The event of the engine write that took from `begun` until `now`."""
        return GroupCommitted(len(self.batches), self.records, self.bytes, begun - self.opened, now - begun)

    def end(self, outcome: Outcome, *, of_batches: Outcome) -> None:
        """Tells all who wait. Batches have an outcome of their own: followers have them, so that they may count although this
        disk did not take them, and a caller must not hear that nothing was done.
        """
        for batch in self.batches:
            batch.end(CommitFailed(RESET) if of_batches is None and batch.is_stale else of_batches)
        self.done.set_result(outcome)
