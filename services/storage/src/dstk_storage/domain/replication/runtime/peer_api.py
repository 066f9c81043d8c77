"""What other nodes ask of this one, but for snapshots (snapshot_receiver.py)."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import NamedTuple, Protocol

from dstk_keytypes import KeyRange, NodeId, PartitionId
from dstk_service.clock import Clock
from dstk_storage.domain.batch import Batch
from dstk_storage.domain.errors import StorageError
from dstk_storage.domain.log import Entry
from dstk_storage.domain.partition import Partition
from dstk_storage.domain.replication.digests import digest
from dstk_storage.domain.replication.follower_handler import FollowerHandler
from dstk_storage.domain.replication.heartbeats import Heartbeat, HeartbeatResponse
from dstk_storage.domain.replication.ports import Append, Appended, Digest, Vote
from dstk_storage.domain.replication.roster import Replicas
from dstk_storage.domain.replication.runtime.informed import Informed
from dstk_storage.ports import Engine, Offload

MAP_SECONDS = 0.2
"""How long a candidate's question waits for the map that the candidate goes by."""


class FollowerDisk(Protocol):
    """This node's disk, for what other nodes' primaries send."""

    def follow(self, partition: Partition, entry: Entry) -> Batch:
        """Gives an entry to the disk; the batch tells how it ended."""

    def is_persisted(self, partition: Partition) -> bool:
        """Whether the disk knows the partition's range and where its log begins."""

    def durable(self) -> Awaitable[None]:
        """Waits until everything that was given to the disk before this call is on it. Raises StorageError."""


class _Work(NamedTuple):
    """What this disk was given of an append. Not `is_all`: it has no room for the rest."""

    batches: list[Batch]
    is_all: bool


class PeerApi:
    """Serves the replicas of this node to other nodes."""

    def __init__(
        self,
        replicas: Replicas,
        followers: FollowerHandler,
        informed: Informed,
        disk: FollowerDisk,
        engine: Engine,
        offload: Offload,
        clock: Clock,
        flush: Callable[[], None],
        evict: Callable[[NodeId], Awaitable[None]],
    ) -> None:
        self._replicas, self._followers, self._informed = replicas, followers, informed
        self._disk, self._engine, self._offload = disk, engine, offload
        self._clock, self._flush, self._evict = clock, flush, evict

    async def on_append(self, appends: Sequence[Append]) -> list[Appended]:
        """Takes entries to disk, before it first waits, and answers where this node stands then."""
        taken = [self._take(append) for append in appends]
        self._flush()
        for work in taken:
            await self._on_disk(work)
        for append in appends:
            await self._persisted(append.partition)
        return [self._answer(append, work) for append, work in zip(appends, taken, strict=True)]

    async def on_heartbeat(self, heartbeat: Heartbeat) -> HeartbeatResponse:
        """Hears a node's claims."""
        response = self._followers.heartbeat(heartbeat, self._clock.monotonic())
        self._flush()
        return response

    async def on_request_vote(self, partition: PartitionId, epoch: int, known: int) -> Vote | None:
        """Promises the epoch, unless this node is the primary and lives; None: it has no whole replica. Waits until this node
        knows the map's entry that the candidate goes by, so that both speak of the same range (R8).
        """
        replica = await self._informed.of(partition, known, MAP_SECONDS)
        if replica is None or not self._followers.may_vote(replica, epoch):
            return None
        vote = self._followers.vote(replica, epoch, self._clock.monotonic())
        self._flush()
        if vote is None:
            await self.drain()
            vote = Vote(replica.log.position, replica.promised)
        return vote

    async def on_leave(self, node: NodeId) -> None:
        """A follower is about to stop: evicts it before its silence would hold up a write."""
        await self._evict(node)

    async def on_digest(self, partition: PartitionId, key_range: KeyRange) -> Digest | None:
        """Of this node's replica; None: it has no whole one of this range. Raises EngineError."""
        try:
            await self._disk.durable()  # where it stands is on disk, too, when it has just been split or merged
        except StorageError:
            return None
        replica = self._replicas.get(partition)
        if replica is None or replica.needs_snapshot or not replica.range.contains_range(key_range):
            return None
        return await self._offload(partial(digest, self._engine, partition, key_range))

    async def drain(self) -> None:
        """Waits until what the replicas have accepted is on disk, or lost: their logs end where the disk does then."""
        with suppress(StorageError):
            await self._disk.durable()

    def _take(self, append: Append) -> _Work | None:
        taken = self._followers.take(append)
        if taken is None:
            return None
        partition = self._replicas[append.partition].partition
        batches = [self._disk.follow(partition, entry) for entry in taken.entries]
        for batch in batches:
            batch.on_failure = self._followers.lost
        return _Work(batches, taken.is_all)

    async def _on_disk(self, work: _Work | None) -> None:
        for batch in work.batches if work is not None else ():
            await batch.outcome()

    async def _persisted(self, partition: PartitionId) -> None:
        """Waits until the disk knows the range that the replica has by now, or has failed to take it (R14)."""
        replica = self._replicas.get(partition)
        if replica is not None and replica.partition.persisting is not None:
            await asyncio.shield(replica.partition.persisting)

    def _answer(self, append: Append, work: _Work | None) -> Appended:
        replica = self._replicas.get(append.partition)
        is_persisted = replica is not None and self._disk.is_persisted(replica.partition)
        accepted = work is not None and work.is_all and all(batch.failure is None for batch in work.batches)
        return self._followers.answer(append, accepted=accepted, is_persisted=is_persisted)
