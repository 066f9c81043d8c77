"""Group commit: one synced engine write for everything that waits, of all partitions.

Invariants:
 1. The batches of a partition reach the disk in order, each whole or not at all; one engine write takes the batches of all
    partitions that are waiting.
 2. While one engine write is under way, the next batches gather.
 3. A precondition sees the writes ahead of it, on disk or not (`newest`). A caller who was told of such a write must wait
    until it is on disk (`touched`), or a crash could take back what it was told.
 4. With the records of a batch goes the partition's sequence number, so a restart goes on counting above every etag that was
    ever given out.
 5. A batch of a replicated partition goes to its followers first, and to this disk when they have it (`ready`); meanwhile it
    holds up nobody but its own partition.
 6. After a failed write nothing more is written until `intake.recovered`: what gathered meanwhile is refused, since it may
    rest on the lost write, and the engine's log could end in a torn record.

A write per fsync would give 1,000 writes/s on a disk whose fsync takes 1 ms, however many callers there are; a timer that
collects for a while would cost a lone caller that while. Gathering during the fsync before costs neither.
"""

import asyncio
import logging
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from dstk_keytypes import PartitionId
from dstk_storage.domain import layout
from dstk_storage.domain.batch import Batch, Head, Outcome, accept, apply
from dstk_storage.domain.errors import CommitFailed, QueueFull, ReadOnly, StorageError
from dstk_storage.domain.garbage import Garbage
from dstk_storage.domain.intake import Intake
from dstk_storage.domain.metadata import Metadata, histories_of, written
from dstk_storage.domain.partition import Partition
from dstk_storage.domain.turn import Turn
from dstk_storage.ports import Engine, EngineError, Offload

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class QueueLimits:
    """How much may wait for the disk at one moment."""

    writes: int = 200_000
    bytes: int = 64 << 20


MAX_REPLICATING = 2
"""Batches of one partition on their way to its followers at one moment. More only makes them smaller."""


MAX_REPLICATED_BYTES = 4 << 20
"""Of a batch on its way to followers, before another one is opened: a bulk insert of 8 MiB more still fits into a message."""


class Committer:
    """Gathers writes and brings them to disk; `run` is its loop."""

    def __init__(self, engine: Engine, offload: Offload, limits: QueueLimits) -> None:
        self._engine = engine
        self._offload = offload
        self._limits = limits
        self._gathering: Turn | None = None
        self._in_flight: Turn | None = None
        self._to_replicate: dict[Batch, None] = {}
        self._writes = self._bytes = 0
        """Gathered and not yet on their way."""
        self._touched: dict[asyncio.Future[Outcome], None] = {}
        self._wake = asyncio.Event()
        self.intake, self.garbage = Intake(), Garbage()

    def admit(self, size: int) -> None:
        """Raises QueueFull, ReadOnly unless `size` more bytes of data can be gathered; a first write always can."""
        self._check(self.intake.data, size)

    def _check(self, refusal: StorageError | None, size: int) -> None:
        if refusal is not None:
            raise refusal
        if self._writes and (self._bytes + size > self._limits.bytes or self._writes >= self._limits.writes):
            raise QueueFull(f"{self._writes} writes of {self._bytes} bytes wait for the disk", 0.05)

    def admit_removal(self, size: int) -> None:
        """As `admit`, for a deletion, which a full disk still takes."""
        self._check(self.intake.removals, size)

    def room(self, size: int) -> tuple[int, int]:
        """How many writes and bytes can still be gathered, at least one write of `size` bytes. Raises QueueFull, ReadOnly."""
        self.admit(size)
        return max(1, self._limits.writes - self._writes), max(size, self._limits.bytes - self._bytes)

    def gather(self, partition: Partition, writes: int, size: int) -> Batch:
        """The partition's gathering batch, for the caller to append so many writes of so many bytes to."""
        batch = partition.gathering
        if batch is None or (batch.replicated and batch.bytes >= MAX_REPLICATED_BYTES):
            batch = self._open(partition)
        batch.bytes += size
        self._writes += writes
        self._bytes += size
        self._touched[batch.done] = None
        return batch

    def note(self, partition: Partition) -> "asyncio.Future[Outcome]":
        """Has the partition's range, epoch and position written, even on a read-only node; when, and how that went."""
        return self._turn().note(partition)

    def knows(self, partition: Partition) -> bool:
        """Whether the disk knows of the partition's range and where its log begins; what a failing disk has not taken is given
        to it once more.
        """
        noted = partition.noted
        if noted is not None and noted.done():
            if noted.result() is None:
                partition.noted = None
            elif not self.intake.failed:
                partition.noted = self.note(partition)
        return partition.noted is None

    def forget(self, partition: PartitionId) -> None:
        """Has everything removed that is written about the partition."""
        self._turn().forget(partition)

    def note_metadata(self, key: bytes, value: bytes) -> None:
        """Has other metadata written with what waits."""
        self._turn().metadata[key] = value

    def newest(self, partition: Partition, key: bytes) -> Head | None:
        """What the next write of `key` will find: pending or stored, expired or not. Raises EngineError."""
        for batch in reversed(partition.unapplied):
            if batch.done.done():
                break
            if (head := batch.heads.get(key)) is not None:
                return head if head[0] else None
        raw = self._engine.get(layout.DATA + key)
        if raw is None:
            return None
        stored = layout.decode_record(raw)
        return stored.etag, stored.expires_at_ms, len(key) + len(stored.value)

    def rest_on(self, partition: Partition) -> None:
        """Counts what waits in the partition among the touched: the caller has been told of it."""
        if partition.unapplied and not partition.unapplied[-1].done.done():
            self._touched[partition.unapplied[-1].done] = None

    def touched(self) -> Coroutine[None, None, None]:
        """Waits until the batches that were gathered into, or rested on, since the last such call are on disk. Raises
        CommitFailed, ReadOnly. What to wait for is fixed by the call, not by the `await`.
        """
        touched, self._touched = self._touched, {}
        return _all_done(touched)

    def durable(self) -> Coroutine[None, None, None]:
        """Waits until everything that was given to the disk before this call is on it; raises and is fixed as `touched`."""
        turn = self._gathering or self._in_flight
        return _all_done([] if turn is None else [turn.done])

    async def settle(self) -> None:
        """Waits until nothing is on its way to disk any more, however it ended."""
        while (turn := self._gathering or self._in_flight) is not None:
            await asyncio.shield(turn.done)
            await asyncio.sleep(0)

    def ready(self, batch: Batch) -> None:
        """The followers have the batch: it goes to disk."""
        self._turn().add(batch)

    def follow(
        self, partition: Partition, epoch: int, first: int, keys: Sequence[bytes], records: Sequence[bytes]
    ) -> Batch:
        """Gives a primary's batch to the disk of this follower; its `done` tells how it went."""
        done = self._turn().done
        batch = Batch(partition, first, done, list(keys), list(records), epoch=epoch)
        if (refusal := self.intake.refusal(records)) is not None:
            batch.done = asyncio.get_running_loop().create_future()
            batch.done.set_result(refusal)
        else:
            self._turn().add(batch)
        return batch

    def abandon(self, partition: Partition, flying: Sequence[Batch], reason: StorageError) -> None:
        """Ends the partition's batches that were not given to the disk yet; those on their way to it go on."""
        waiting = [batch for batch in self._to_replicate if batch.partition is partition]
        for batch in waiting:
            del self._to_replicate[batch]
            self._uncount(batch)
        partition.gathering = None
        partition.replicating -= len(flying)
        for batch in (*flying, *waiting):
            batch.done.set_result(reason)

    @property
    def writing(self) -> Turn | None:
        """What is on its way to the disk."""
        return self._in_flight

    async def run(self) -> None:
        """Commits until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            self._replicate()
            while (turn := self._gathering) is not None:
                self._take(turn)
                await self._commit(turn)
                self._in_flight = None
                self._replicate()

    def _open(self, partition: Partition) -> Batch:
        unapplied = partition.unapplied
        while unapplied and unapplied[0].done.done():
            unapplied.popleft()
        if partition.replicate is None:
            turn = self._turn()
            batch = Batch(partition, partition.log.last + 1, turn.done, epoch=partition.epoch)
            turn.add(batch)
        else:
            done = asyncio.get_running_loop().create_future()
            batch = Batch(partition, partition.log.last + 1, done, replicated=True)
            self._to_replicate[batch] = None
            self._wake.set()
        partition.gathering = batch
        unapplied.append(batch)
        return batch

    def _replicate(self) -> None:
        """Closes gathering batches whose partitions may send another, and hands them to their followers."""
        for batch in list(self._to_replicate):
            partition = batch.partition
            if partition.replicating >= MAX_REPLICATING:
                continue
            del self._to_replicate[batch]
            self._uncount(batch)
            if partition.gathering is batch:
                partition.gathering = None
            partition.replicating += 1
            assert partition.replicate is not None
            partition.replicate(batch)

    def _turn(self) -> Turn:
        if self._gathering is None:
            self._gathering = Turn(asyncio.get_running_loop().create_future())
            self._wake.set()
        return self._gathering

    def _take(self, turn: Turn) -> None:
        """Closes the gathering batches: what comes now goes into new ones."""
        self._gathering, self._in_flight = None, turn
        for batch in turn.batches:
            if batch.partition.gathering is batch:
                batch.partition.gathering = None
            if batch.done is turn.done and batch.bytes:
                self._uncount(batch)
                accept(batch)

    def _uncount(self, batch: Batch) -> None:
        self._writes -= len(batch.keys)
        self._bytes -= batch.bytes

    async def _commit(self, turn: Turn) -> None:
        histories = histories_of(turn.batches)
        metadata = [*turn.metadata.items(), *written(histories, turn.changed)]
        outcome: Outcome = None
        try:
            await self._offload(partial(self._write, turn.batches, metadata))
        except EngineError as error:
            outcome = self._fail(error)
        else:
            for partition, history in histories.items():
                partition.log.applied(history)
        turn.end(outcome, replicated=outcome)

    def _write(self, batches: Iterable[Batch], metadata: Iterable[Metadata]) -> None:
        target = self._engine.batch()
        for batch in batches:
            if not batch.partition.dropped:
                self.garbage.note(self._engine, batch, apply(batch, target))
        for key, value in metadata:
            if value is None:
                target.delete(key)
            else:
                target.put(key, value)
        self._engine.write(target)

    def _fail(self, error: EngineError) -> CommitFailed:
        log.error("a write failed: refusing writes until the engine is reopened", extra={"error": str(error)})
        refusal = ReadOnly(f"a write to disk failed ({error}); the node tries to recover")
        self.intake.fail(refusal)
        failure = CommitFailed(f"the disk failed during the write: {error}")
        failure.__cause__ = error
        if (turn := self._gathering) is not None:
            self._take(turn)
            turn.end(refusal, replicated=failure)
        return failure


async def _all_done(outcomes: "Iterable[asyncio.Future[Outcome]]") -> None:
    for done in outcomes:
        # shielded: a caller that goes away must not cancel what others wait for
        if (failure := await asyncio.shield(done)) is not None:
            raise failure
