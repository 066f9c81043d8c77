"""The end of the commit pipeline: one synced engine write for everything that waits, of all partitions.

    WriteQueue ──propose──> Proposer ──commit──> GroupCommitter ──> engine
    (write_queue.py)        (replication)        (here)

Each stage is given the next one when it is made, and knows nothing of those before it. What becomes of a batch is kept in the
batch (batch.py); a request waits for its batches by a receipt (receipt.py).

Invariants of the pipeline:
 1. The batches of a partition reach the disk in the order of their numbers, each whole or not at all.
 2. One engine write takes the REPLICATED batches of all partitions. While it is under way the next ones gather.
 3. A precondition sees the writes ahead of it, on disk or not. The caller who was told of such a write waits until it is on
    disk (its receipt rests on that batch), or a crash could take back what it was told.
 4. The position and the terms of a partition's log are in the same engine write as the records. So a restart continues above
    every etag that was ever given out, and knows exactly which entries it has.
 5. A batch is given to this disk only when all required followers have it on theirs; until then it delays only its own
    partition. So what this node serves is on every in-sync replica.
 6. After a failed write this node takes no more writes until `intake.recovered`: they could rest on the lost one, and the
    engine's log may end in a torn record. What was about to be written is refused.
 7. A log that is reset, and an engine that is replaced, get nothing that was meant for the one before: such batches fail.
 8. What a batch took of the queue's room it gives back when it leaves GATHERING, however it leaves.

The obvious design, an fsync for each write, gives 1,000 writes/s on a disk whose fsync takes 1 ms, however many callers there
are. A timer that collects for a while costs a lone caller that while. To gather during the previous fsync costs neither: a lone
caller never waits for company, and a thousand callers share an fsync. One fsync for each partition was rejected as well: with
a thousand partitions a write is alone in its partition nearly always, and the disk would do a thousand fsyncs for one.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from typing import Protocol

from typing_extensions import override

from dstk_keytypes import PartitionId
from dstk_service.observe import NULL, Observer
from dstk_storage.domain.apply import apply_records
from dstk_storage.domain.batch import Batch, Outcome
from dstk_storage.domain.batch_trace import Tracing
from dstk_storage.domain.commit_group import CommitGroup, MetadataChanges
from dstk_storage.domain.errors import CommitFailed, ReadOnly
from dstk_storage.domain.events import WriteFailed
from dstk_storage.domain.garbage import Garbage
from dstk_storage.domain.intake import Intake
from dstk_storage.domain.log import Entry
from dstk_storage.domain.metadata import Metadata, histories_of, written
from dstk_storage.domain.partition import Partition
from dstk_storage.domain.write_queue import Disk
from dstk_storage.ports import Engine, EngineError, Offload

REPLACED = "the engine was replaced during the write"


class Upstream(Protocol):
    """What fills the next group."""

    def propose_ready(self) -> None:
        """Proposes what has gathered."""


class GroupCommitter(Disk):
    """Brings batches and metadata to disk, many at once; `run` is its loop."""

    def __init__(
        self,
        engine: Engine,
        offload: Offload,
        monotonic: Callable[[], float],
        observer: Observer = NULL,
    ) -> None:
        self._engine, self._offload = engine, offload
        self._observer, self.monotonic = observer, monotonic
        self._tracing = Tracing(observer, monotonic)
        self._gathering: CommitGroup | None = None
        self._in_flight: CommitGroup | None = None
        self._wake = asyncio.Event()
        self.intake, self.garbage = Intake(), Garbage()
        self._owed = MetadataChanges()
        """What a failing disk did not take. The next write takes it: data that rest on it must never be on disk without it."""
        self._engines = 0
        """How often the engine was replaced."""
        self.written = 0
        """How many records, and removals, were brought to disk."""

    @property
    def in_flight(self) -> CommitGroup | None:
        """What the disk is writing."""
        return self._in_flight

    @property
    def waiting_since(self) -> float | None:
        """Since when the oldest engine write that has not ended is waited for. Monotonic seconds; None: there is none."""
        group = self._in_flight or self._gathering
        return None if group is None else group.opened

    @override
    def wake(self) -> None:
        self._wake.set()

    @override
    def commit(self, batch: Batch) -> None:
        self._group().add(batch)

    def follow(self, partition: Partition, entry: Entry) -> Batch:
        """Brings an entry of another node's primary to this follower's disk."""
        batch = Batch.of_entry(partition, entry)
        if entry.trace is not None:
            batch.join(entry.trace, self._tracing)
        self.commit(batch)
        return batch

    def persist_metadata(self, partition: Partition) -> "asyncio.Future[Outcome]":
        """Writes the partition's range, epoch and position, even on a read-only node. Returns how that ended, and when. Of a
        partition that the node holds no more it writes nothing: a restart would take it for one that is still held.
        """
        group = self._group()
        if not partition.dropped:
            group.metadata.persist(partition)
        return group.done

    def has_persisted(self, partition: Partition) -> bool:
        """Whether the partition's range, and where its log begins, are on disk. What a failing disk did not take is given to it
        once more.
        """
        persisting = partition.persisting
        if persisting is not None and persisting.done():
            if persisting.result() is None:
                partition.persisting, partition.parts = None, ()
            elif self.intake.failure is None:
                partition.persisting = self.persist_metadata(partition)
        return partition.persisting is None

    def delete_metadata(self, partition: PartitionId) -> None:
        """Deletes everything that is written about the partition."""
        self._group().metadata.delete(partition)

    def put_metadata(self, key: bytes, value: bytes) -> "asyncio.Future[Outcome]":
        """Writes other metadata. Returns how that ended, and when."""
        group = self._group()
        group.metadata.other[key] = value
        return group.done

    def durable(self) -> Coroutine[None, None, None]:
        """Waits until everything that was given to the disk before this call is on it. What to wait for is fixed by the call,
        not by the `await`. Raises CommitFailed, ReadOnly.
        """
        return _until_done(self._gathering or self._in_flight)

    def engine_replaced(self) -> None:
        """An empty engine has replaced the old one, in this step: what was about to be written is not written to it."""
        self._engines += 1
        self._owed = MetadataChanges()
        self.intake.recovered()

    async def settle(self) -> None:
        """Waits until nothing is on its way to disk any more, however it ended."""
        while (group := self._gathering or self._in_flight) is not None:
            await asyncio.shield(group.done)
            await asyncio.sleep(0)

    async def run(self, upstream: Upstream) -> None:
        """Commits until cancelled. `upstream` proposes before each engine write: what follows at once is in that write."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            upstream.propose_ready()
            while (group := self._gathering) is not None:
                self._gathering, self._in_flight = None, group
                await self._commit(group)
                self._in_flight = None
                upstream.propose_ready()

    def _group(self) -> CommitGroup:
        if self._gathering is None:
            self._gathering = CommitGroup(asyncio.get_running_loop().create_future(), self.monotonic())
            self._wake.set()
        return self._gathering

    async def _commit(self, group: CommitGroup) -> None:
        group.metadata.follow(self._owed)
        if (refusal := self.intake.failure) is not None:  # invariants 6, 7
            self._owed = group.metadata
            group.end(refusal, of_batches=CommitFailed(f"the disk did not take the write: {refusal.why}"))
            return
        group.leave_out_stale()
        outcome = await self._write_group(group)
        group.end(outcome, of_batches=outcome)

    async def _write_group(self, group: CommitGroup) -> Outcome:
        histories, begun, engines = histories_of(group.batches), self.monotonic(), self._engines
        metadata = [*group.metadata.other.items(), *written(histories, group.metadata.changed)]
        try:
            is_written = await self._offload(partial(self._write, group.batches, metadata, engines))
        except EngineError as error:
            if engines != self._engines:
                return CommitFailed(REPLACED)
            self._owed = group.metadata
            return self._fail(error)
        if not is_written:
            return CommitFailed(REPLACED)
        self._owed = MetadataChanges()
        for partition, history in histories.items():
            partition.log.applied(history)
        ended = self.monotonic()
        group.count(begun, ended)
        self.written += group.records
        self._observer.observe(group.committed(begun, ended))
        return None

    def _write(self, batches: Iterable[Batch], metadata: Iterable[Metadata], engines: int) -> bool:
        """False: the write waited while the engine was replaced, and the new one holds nothing that it rests on."""
        if engines != self._engines:
            return False
        target = self._engine.batch()
        for batch in batches:
            if not batch.partition.dropped:
                self.garbage.note(self._engine, batch, apply_records(batch.keys, batch.records, target))
        for key, value in metadata:
            if value is None:
                target.delete(key)
            else:
                target.put(key, value)
        self._engine.write(target)
        return True

    def _fail(self, error: EngineError) -> CommitFailed:
        self._observer.observe(WriteFailed(str(error)))
        refusal = ReadOnly(f"a write to disk failed ({error}); the node tries to recover")
        self.intake.fail(refusal)
        failure = CommitFailed(f"the disk failed during the write: {error}")
        failure.__cause__ = error
        if (group := self._gathering) is not None:
            self._gathering = None
            group.metadata.follow(self._owed)
            self._owed = group.metadata
            group.end(refusal, of_batches=failure)
        return failure


async def _until_done(group: CommitGroup | None) -> None:
    # shielded: a caller that leaves must not cancel what others wait for
    if group is not None and (failure := await asyncio.shield(group.done)) is not None:
        raise failure
