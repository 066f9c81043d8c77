"""This node's store and committer, as replication sees them."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from dstk_keytypes import KeyRange, PartitionId
from dstk_storage.domain.batch import Batch
from dstk_storage.domain.converge import Assignment, Divergence
from dstk_storage.domain.intake import Intake
from dstk_storage.domain.log import Entry
from dstk_storage.domain.partition import Partition
from dstk_storage.domain.store import Store


class LocalDisk:
    """Satisfies the narrow protocols that the parts of replication declare: Disk, FollowerDisk, Pending, Installing, Serving,
    Committing, Compares, and the reactor's Store.
    """

    def __init__(self, store: Store) -> None:
        self._store, self._committer = store, store.committer

    @property
    def intake(self) -> Intake:
        """What the disk takes at the moment."""
        return self._committer.intake

    @property
    def writing(self) -> object:
        """What is on its way to the disk; None: nothing."""
        return self._committer.in_flight

    @property
    def is_corrupt(self) -> bool:
        """Whether the engine has met a corrupt block."""
        return bool(self._store.engine.corruption)

    @property
    def whole_ranges(self) -> asyncio.Lock:
        """Held by whatever writes or deletes whole ranges."""
        return self._store.orphaned_ranges.turn

    def weigh(self, key_range: KeyRange) -> int:
        """Bytes on disk of a range, roughly."""
        return self._store.weigh(key_range)

    def operations(self) -> int:
        """Of callers, of all partitions that are led here."""
        return self._store.operations()

    def follow(self, partition: Partition, entry: Entry) -> Batch:
        """Gives an entry of another node's primary to the disk; the batch's `outcome` tells how it ended."""
        return self._committer.follow(partition, entry)

    def is_persisted(self, partition: Partition) -> bool:
        """Whether the disk knows the partition's range and where its log begins."""
        return self._committer.has_persisted(partition)

    def is_idle(self, partition: Partition) -> bool:
        """Whether no write of the partition gathers or is on its way."""
        return partition.pending.is_empty()

    def persist_metadata(self, partition: Partition) -> object:
        """Has the partition's range, epoch and position written."""
        return self._committer.persist_metadata(partition)

    def durable(self) -> Awaitable[None]:
        """Waits until everything that was given to the disk before this call is on it. Raises StorageError."""
        return self._committer.durable()

    def note_compared(self, partition: Partition) -> None:
        """Has it written what the last comparison of the partition has found."""
        self._store.note_compared(partition)

    def activate(self, partition: Partition) -> None:
        """Callers reach the partition on this node."""
        self._store.activate(partition)

    def deactivate(self, partition: Partition) -> None:
        """Callers reach it no more."""
        self._store.deactivate(partition)

    def converge(self, assigned: Iterable[Assignment]) -> list[Divergence]:
        """Holds what the map assigns from now on; returns what differed."""
        return self._store.converge(assigned)

    def local(self, number: PartitionId) -> Partition | None:
        """A partition of which this node has a replica."""
        return self._store.local(number)

    def reread(self, before: Callable[[Partition], None]) -> None:
        """The engine has been reopened: reads where the logs stand. `before`: called with each log that changes."""
        self._store.reread(before)

    def restart_empty(self) -> None:
        """The engine has been replaced by an empty one."""
        self._store.restart_empty()
