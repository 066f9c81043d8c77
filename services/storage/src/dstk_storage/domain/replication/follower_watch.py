"""A primary's judgement of its followers: which ones hold up writes, and which may join the in-sync set. Pure."""

from collections.abc import Sequence
from typing import Protocol

from dstk_keytypes import KeyRange, NodeId
from dstk_storage.domain.intake import Intake
from dstk_storage.domain.replication.actions import Admit, Evict, HandOff, InstallSnapshot, Outbox, Ship
from dstk_storage.domain.replication.in_sync import InSyncManager
from dstk_storage.domain.replication.lease_book import LeaseBook
from dstk_storage.domain.replication.primary import Primary
from dstk_storage.domain.replication.progress import FollowerState, Progress
from dstk_storage.domain.replication.replica import Replica
from dstk_storage.domain.replication.timing import Timing
from dstk_storage.domain.room import Room

JOINING_AT_ONCE = 16
"""Learners on their way into in-sync sets. Each is a change of the map. Hundreds at one moment, when a node is back that
follows as many partitions, would keep all nodes from sending heartbeats.
"""


class Disk(Protocol):
    """This node's disk."""

    @property
    def intake(self) -> Intake:
        """What it takes at the moment."""

    def weigh(self, key_range: KeyRange) -> int:
        """Bytes on disk of a range, roughly."""


class FollowerWatch:
    """For all partitions that a node leads."""

    def __init__(self, outbox: Outbox, leases: LeaseBook, in_sync: InSyncManager, disk: Disk, timing: Timing) -> None:
        self._outbox, self._leases, self._in_sync, self._disk, self._timing = outbox, leases, in_sync, disk, timing
        self._joins_left = 0

    def count_joining(self, replicas: Sequence[Replica]) -> None:
        """Lets as many learners join as there is room for, until it is called again. `replicas`: all that are restless."""
        primaries = [replica.primary for replica in replicas if replica.primary is not None]
        joining = sum(each.joins_at is not None for primary in primaries for each in primary.followers.values())
        self._joins_left = JOINING_AT_ONCE - joining

    def look(self, replica: Replica, primary: Primary, now: float) -> None:
        """Evicts the followers that hold up writes, and goes on with the others."""
        gone = dict.fromkeys(self._unable(replica, primary, now))
        if self._disk.intake.data is not None and self._can_hand_off(replica, primary):
            self._outbox.add(HandOff(replica))
        if gone:
            self._outbox.add(Evict(replica, list(gone)))
        for node, progress in primary.followers.items():
            if progress.state is not FollowerState.PROBE:
                self.consider(replica, node, progress, now)
        ship(replica, self._outbox)

    def is_calm(self, replica: Replica, primary: Primary, now: float) -> bool:
        """Whether nothing is due before something happens: then the replica needs no looking at."""
        if (
            primary.in_flight
            or primary.attempts
            or primary.is_changing
            or primary.is_quiescing
            or not primary.is_serving
        ):
            return False
        if self._disk.intake.data is not None:
            return False
        return all(self._is_calm(replica, node, each, now) for node, each in primary.followers.items())

    def _is_calm(self, replica: Replica, node: NodeId, progress: Progress, now: float) -> bool:
        if not progress.required:
            return self._leases.is_silent(node)
        is_healthy = not progress.refuses_writes and progress.room is Room.AMPLE
        is_level = progress.state is FollowerState.REPLICATE and progress.acked == replica.log.tail
        return is_healthy and is_level and not self.is_silent(replica, node, progress, now)

    def consider(self, replica: Replica, node: NodeId, progress: Progress, now: float) -> None:
        """What the follower's progress asks for: a snapshot, or its way into the in-sync set (R4, R6)."""
        if progress.state is FollowerState.SNAPSHOT:
            if not progress.required and not progress.is_installing:  # a required one is evicted first
                progress.is_installing = True
                self._outbox.add(InstallSnapshot(replica, node, progress))
        elif progress.joins_at is not None:
            if progress.is_known and progress.acked >= progress.joins_at:
                self._outbox.add(Admit(replica, node))
        elif not progress.required and self._is_close(replica, node, progress, now) and self._may_join(node, now):
            self._joins_left -= 1
            progress.join(replica.log.tail, now)
            self._outbox.change(replica)
            ship(replica, self._outbox)

    def silent_since(self, replica: Replica, node: NodeId, progress: Progress) -> float:
        """When the follower was last heard of, or became required."""
        return max(self._leases.answered(replica.info.id, node), progress.since)

    def is_silent(self, replica: Replica, node: NodeId, progress: Progress, now: float) -> bool:
        """Whether the follower has answered nothing for the lease period."""
        return self.silent_since(replica, node, progress) + self._timing.lease <= now

    def _unable(self, replica: Replica, primary: Primary, now: float) -> list[NodeId]:
        required = primary.required()
        silent = [node for node in required if self.is_silent(replica, node, primary.followers[node], now)]
        for node in silent:
            self._in_sync.note_silence(node, now)
        for node in primary.stuck(replica.log.tail, now, self._timing.stall):
            self._in_sync.note_hang(node, now)
        hanging = [node for node in required if self._in_sync.hangs(node, now)]
        gone = [*silent, *primary.needs_snapshot(), *hanging]
        if self._disk.intake.removals is None:
            gone += [node for node in required if primary.followers[node].refuses_writes]
        return gone

    def _can_hand_off(self, replica: Replica, primary: Primary) -> bool:
        """Whether another replica's disk takes data, which this one's does not."""
        in_sync = (each for node, each in primary.followers.items() if node in replica.info.in_sync)
        is_healthy = any(not each.refuses_writes and each.room is Room.AMPLE for each in in_sync)
        return is_healthy and primary.is_serving and not primary.is_quiescing

    def _is_close(self, replica: Replica, node: NodeId, progress: Progress, now: float) -> bool:
        """It has what this replica has on disk, so that waiting for it costs little; and has answered a heartbeat recently, or
        the lease would be over at once.
        """
        primary = replica.primary
        has_all = progress.is_known and progress.acked >= replica.log.position
        answers = self._leases.answered(replica.info.id, node) + self._timing.lease / 2 > now
        return primary is not None and primary.is_serving and has_all and answers and not progress.refuses_writes

    def _may_join(self, node: NodeId, now: float) -> bool:
        return self._joins_left > 0 and self._in_sync.may_join(node, now)


def ship(replica: Replica, outbox: Outbox) -> None:
    """Has every follower sent what it lacks."""
    for node in replica.primary.followers if replica.primary is not None else ():
        outbox.add(Ship(replica, node))
