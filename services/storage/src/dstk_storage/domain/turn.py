"""One engine write in the making."""

import asyncio
from dataclasses import dataclass, field

from dstk_keytypes import PartitionId
from dstk_storage.domain import layout
from dstk_storage.domain.batch import Batch, Outcome
from dstk_storage.domain.partition import Partition


@dataclass(slots=True, eq=False)
class Turn:
    """What the disk takes at once."""

    done: "asyncio.Future[Outcome]"
    batches: list[Batch] = field(default_factory=list)
    changed: dict[Partition, None] = field(default_factory=dict)
    """Partitions whose range, epoch and position are to be written."""
    metadata: dict[bytes, bytes | None] = field(default_factory=dict)
    """Other metadata; None: to be removed."""

    def add(self, batch: Batch) -> None:
        """Has a batch written."""
        batch.partition.writing += 1
        self.batches.append(batch)

    def note(self, partition: Partition) -> "asyncio.Future[Outcome]":
        """Has a partition's metadata written; returns `done`."""
        self.changed[partition] = None
        for key in layout.partition_keys(partition.id):
            self.metadata.pop(key, None)
        return self.done

    def forget(self, partition: PartitionId) -> None:
        """Has a partition's metadata removed."""
        self.changed = {other: None for other in self.changed if other.id != partition}
        self.metadata |= dict.fromkeys(layout.partition_keys(partition))

    def end(self, outcome: Outcome, *, replicated: Outcome) -> None:
        """Tells everybody who waits. What followers have may count although this disk has not taken it: nobody may hear of
        such a batch that nothing was done, so that it has an outcome of its own.
        """
        for batch in self.batches:
            batch.partition.writing -= 1
            if batch.replicated:
                batch.partition.replicating -= 1
                batch.done.set_result(replicated)
        self.done.set_result(outcome)
