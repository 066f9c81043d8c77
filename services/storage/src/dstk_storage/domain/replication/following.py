"""The follower's side: answers to primaries and to candidates."""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from dstk_keytypes import KeyRange, NodeId, PartitionId
from dstk_storage.domain.batch import Batch, Outcome
from dstk_storage.domain.errors import StorageError
from dstk_storage.domain.history import START
from dstk_storage.domain.replication.digests import digest
from dstk_storage.domain.replication.election import Vote
from dstk_storage.domain.replication.ports import Append, Appended, Digest, Heartbeat
from dstk_storage.domain.replication.replica import Primary, Refused, Replica
from dstk_storage.domain.room import Room

if TYPE_CHECKING:
    from dstk_storage.domain.replication.replicator import Replicator

log = logging.getLogger(__name__)

MAP_SECONDS = 0.2
"""How long a candidate's question waits for the map that the candidate goes by."""


class Following:
    """Everything that other nodes ask of this one, but for copies (rebuild.py)."""

    def __init__(self, home: "Replicator") -> None:
        self._home = home

    async def on_append(self, appends: Sequence[Append]) -> list[Appended]:
        """Takes entries to disk, and answers where this node stands then."""
        waiting = [self._take(append) for append in appends]
        for batches in waiting:
            await self._on_disk(batches)
        for append in appends:
            if (noted := self._noted(append)) is not None:
                await asyncio.shield(noted)
        return [self._answer(append, batches) for append, batches in zip(appends, waiting, strict=True)]

    def _take(self, append: Append) -> list[Batch] | None:
        replica = self._home.replicas.get(append.partition)
        if replica is None or not _is_about(append, replica):
            return None
        if replica.primary is not None and append.epoch > replica.primary.epoch:
            self._home.resign(replica)
        try:
            fresh = replica.accept(append.epoch, append.entries)
        except Refused:
            return None
        return [self._home.around.committer.follow(replica.partition, entry) for entry in fresh]

    async def _on_disk(self, batches: Iterable[Batch] | None) -> None:
        for batch in batches or ():
            await batch.outcome()

    def _noted(self, append: Append) -> "asyncio.Future[Outcome] | None":
        """When the disk knows of the range that the replica has by now, or has failed to take it (R14); None: it does."""
        replica = self._home.replicas.get(append.partition)
        return None if replica is None else replica.partition.persisting

    def _answer(self, append: Append, batches: list[Batch] | None) -> Appended:
        replica = self._home.replicas.get(append.partition)
        failed = any(batch.failure is not None for batch in batches or ())
        if replica is not None and failed:
            replica.partition.log.truncate(replica.partition.log.position)
        committer = self._home.around.committer
        if replica is None or not _is_about(append, replica) or not committer.has_persisted(replica.partition):
            return Appended(append.partition, accepted=False, position=START, promised=0, behind=True)
        position, intake = replica.partition.log.position, committer.intake
        accepted = batches is not None and not failed
        ailing, room = intake.removals is not None, intake.room
        copy_room = self._copy_room(replica) if room >= Room.FULL else 0
        return Appended(
            append.partition,
            accepted,
            position,
            replica.promised,
            replica.rebuilding,
            ailing=ailing,
            room=room,
            copy_room=copy_room,
        )

    def _copy_room(self, replica: Replica) -> int:
        store = self._home.around.store
        return max(0, store.committer.intake.spare + store.weigh(replica.range))

    def on_heartbeat(self, heartbeat: Heartbeat) -> dict[PartitionId, int]:
        """Promises not to take over for a while what the sender claims; returns what cannot be promised, and what is no whole
        replica here: its primary may not know (R12).
        """
        now = self._home.around.clock.monotonic()
        refused = {}
        for number, epoch in heartbeat.claims.items():
            replica = self._home.replicas.get(number)
            if replica is None or not replica.believes(epoch):
                refused[number] = 0
                continue
            if replica.promised > epoch:
                refused[number] = replica.promised
                continue
            replica.promise(epoch)
            if replica.rebuilding:
                refused[number] = epoch
            replica.claimed = max(replica.claimed, epoch)
            self._home.promises.hear(number, now)
        self._home.unclaimed_by[heartbeat.sender] = heartbeat.unclaimed
        return refused

    async def on_request_vote(self, partition: PartitionId, epoch: int, known: int) -> Vote | None:
        """Promises the epoch, unless this node is the primary and lives; None: it has no such replica. Waits until this node
        knows the map's entry that the candidate goes by, so that both speak of the same range (R8).
        """
        replica = await self._home.informed(partition, known, MAP_SECONDS)
        if replica is None or replica.rebuilding or not replica.believes(epoch):
            return None
        if replica.primary is not None and replica.primary.epoch >= epoch - 1 and self._lives(replica.primary):
            return Vote(replica.tail, replica.promised, claims=True)
        if replica.primary is not None:
            self._home.resign(replica)
        if replica.promised > epoch:
            return Vote(replica.partition.log.position, replica.promised)
        replica.promise(epoch)
        await self.drain(replica)
        return Vote(replica.partition.log.position, replica.promised)

    async def on_leave(self, node: NodeId) -> None:
        """A follower is about to stop: lets it go before its silence holds up a write."""
        await self._home.care.part_with(node)

    async def on_digest(self, partition: PartitionId, key_range: KeyRange) -> Digest | None:
        """Of this node's replica; None: it has no whole one of this range. Raises EngineError."""
        store = self._home.around.store
        try:
            await store.committer.durable()  # where it stands is on disk, too, when it has just been split or merged
        except StorageError:
            return None
        replica = self._home.replicas.get(partition)
        if replica is None or replica.rebuilding or not replica.range.contains_range(key_range):
            return None
        return await store.offload(partial(digest, store.engine, partition, key_range))

    async def drain(self, replica: Replica) -> None:
        """Waits until what was accepted is on disk, or lost."""
        try:
            await self._home.around.committer.durable()
        except StorageError:
            replica.partition.log.truncate(replica.partition.log.position)

    def _lives(self, primary: Primary) -> bool:
        """Whether it holds its lease, or is too young to have one."""
        now = self._home.around.clock.monotonic()
        return max(primary.lease, primary.since + self._home.around.timing.lease) > now


def _is_about(append: Append, replica: Replica) -> bool:
    """Whether the follower's map is as new as what the primary speaks of (R8, R15)."""
    return replica.range == append.range and replica.info.epoch >= append.added and replica.believes(append.epoch)
