"""Installs snapshots that other nodes' primaries send."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol

from dstk_keytypes import PartitionId
from dstk_service.clock import Clock
from dstk_storage.domain.apply import apply_records
from dstk_storage.domain.errors import StorageError
from dstk_storage.domain.estimate import Estimate
from dstk_storage.domain.history import History
from dstk_storage.domain.intake import Intake
from dstk_storage.domain.orphaned_ranges import clear
from dstk_storage.domain.partition import Partition
from dstk_storage.domain.replication.ports import SnapshotChunk
from dstk_storage.domain.replication.replica import PromiseKeeper, Replica
from dstk_storage.domain.replication.roster import Replicas
from dstk_storage.ports import Engine, EngineError, Offload

FULL_SECONDS = 5.0
"""How long a chunk waits for room on this disk before it is refused, to be sent again."""

RETRY_SECONDS = 0.1


class Installing(Protocol):
    """This node's disk, for what goes past the commit pipeline."""

    @property
    def intake(self) -> Intake:
        """What it takes at the moment."""

    @property
    def whole_ranges(self) -> asyncio.Lock:
        """Held by whatever writes or deletes whole ranges."""

    def persist_metadata(self, partition: Partition) -> object:
        """Has the partition's range, epoch and position written."""

    def durable(self) -> Awaitable[None]:
        """Waits until everything that was given to the disk before this call is on it. Raises StorageError."""


class SnapshotReceiver:
    """Empties the replica with the first chunk, fills it with the others, and makes it whole with the last one."""

    def __init__(
        self,
        replicas: Replicas,
        keeper: PromiseKeeper,
        disk: Installing,
        engine: Engine,
        offload: Offload,
        clock: Clock,
        drain: Callable[[], Awaitable[None]],
        flush: Callable[[], None],
    ) -> None:
        self._replicas, self._keeper, self._disk = replicas, keeper, disk
        self._engine, self._offload, self._clock = engine, offload, clock
        self._drain, self._flush = drain, flush

    async def receive(self, chunk: SnapshotChunk) -> bool:
        """Takes a chunk to disk; False: this node follows another one, or has another range. Raises EngineError.

        Not to be cancelled while the process goes on: what a thread is deleting must not meet what the next chunk writes.
        """
        if chunk.keys:
            await self._until_there_is_room()
        async with self._disk.whole_ranges:
            replica = self._replicas.get(chunk.partition)
            if replica is None or not _is_for(chunk, replica):
                return False
            replica.promise(chunk.epoch)
            self._flush()
            if chunk.first:
                await self._drain()
                await self._empty(replica, chunk.attempt)
            await self._offload(partial(_fill, self._engine, chunk))
            if chunk.history is not None and replica.range == chunk.range:
                await self._stand(replica, chunk.history, needs_snapshot=False)
            return True

    async def _until_there_is_room(self) -> None:
        """A snapshot must not fill the disk: it waits until deletions have given space back, as long as its sender does."""
        end = self._clock.monotonic() + FULL_SECONDS
        while (refusal := self._disk.intake.entries) is not None:
            if self._clock.monotonic() >= end:
                raise EngineError(f"no room for a snapshot: {refusal.why}")
            await self._clock.sleep(RETRY_SECONDS)

    async def _empty(self, replica: Replica, attempt: int) -> None:
        """Empties the replica in steps; a crash in between leaves the mark that it is no consistent whole, and by which
        snapshot it is to become one: chunks that come after a restart are taken only if those before them are on this disk
        (R12).
        """
        replica.partition.snapshot_attempt, replica.partition.estimate = attempt, Estimate()
        await self._stand(replica, History(), needs_snapshot=True)
        replica.is_suspect = False
        while True:
            cleared = await self._offload(partial(clear, self._engine, replica.range))
            replica.partition.garbage += cleared.bytes
            if cleared.is_all:
                return

    async def _stand(self, replica: Replica, history: History, *, needs_snapshot: bool) -> None:
        """Where the replica stands from now on, on disk too: through the committer, as all that is written about a partition,
        for what two threads write in turn is in no order.
        """
        replica.partition.needs_snapshot = needs_snapshot
        replica.log.reset(history)
        self._keeper.promised(PartitionId(replica.info.id))
        self._flush()
        self._disk.persist_metadata(replica.partition)
        try:
            await self._disk.durable()
        except StorageError as error:
            raise EngineError(str(error)) from error


def _is_for(chunk: SnapshotChunk, replica: Replica) -> bool:
    """Whether the replica takes the chunk: it follows the sender, and is emptied by it or was by the same snapshot."""
    if replica.range != chunk.range or replica.primary is not None:
        return False
    if chunk.epoch < replica.promised or not replica.believes(chunk.epoch):
        return False
    return chunk.first or (replica.partition.needs_snapshot and replica.partition.snapshot_attempt == chunk.attempt)


def _fill(engine: Engine, chunk: SnapshotChunk) -> None:
    target = engine.batch()
    apply_records(chunk.keys, chunk.records, target)
    engine.write(target)
