"""Looking after followers: who is let go from the in-sync sets, why and when, and who is taken along again. And after this
node's own disk, which may hang while the node answers.
"""

import asyncio
import logging
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dstk_keytypes import NodeId, PartitionId
from dstk_storage.domain.replication.ports import PeerUnreachable
from dstk_storage.domain.replication.replica import Primary, Replica
from dstk_storage.domain.room import Room

if TYPE_CHECKING:
    from dstk_storage.domain.commit_group import CommitGroup
    from dstk_storage.domain.replication.replicator import Replicator

log = logging.getLogger(__name__)

LEAVING_SECONDS = 10.0
"""How long a node that has announced that it leaves is kept out of the in-sync sets, unless it is seen to be gone before."""

HANGING_SECONDS = 10.0
"""How long a node whose disk hangs is kept out of the in-sync sets, unless it writes something before."""

STALLS = 2
"""After so many times the patience with followers a primary gives up on its own disk: who is in sync then has a better one."""

PROBATION_SECONDS = 0.5
LONGEST_PROBATION_SECONDS = 8.0
FORGIVEN_SECONDS = 30.0
"""A node that falls silent once is taken in again as soon as it answers; when it does so again within this time, only after a
while that doubles each time. Where nodes have more to do than they can, each return is a change of the map for each partition,
which keeps them from answering: this ends it.
"""

PART_SECONDS = 0.01


@dataclass(slots=True)
class Lapses:
    """How often a node has fallen silent of late."""

    count: int = 0
    last: float = -math.inf

    def note(self, now: float, lease: float) -> None:
        """It is silent; many partitions tell of it at one moment, or one after the other."""
        if now - self.last > lease:
            self.count = self.count + 1 if now - self.last < FORGIVEN_SECONDS else 1
            self.last = now

    def probation_ends(self) -> float:
        """Until when it is not taken in again."""
        if self.count <= 1:
            return -math.inf
        return self.last + min(LONGEST_PROBATION_SECONDS, math.ldexp(PROBATION_SECONDS, self.count - 2))


class Care:
    """The primary's judgement of its followers. To let one go is always safe: it takes a change of the map."""

    def __init__(self, home: "Replicator") -> None:
        self._home = home
        self._leaving: dict[NodeId, float] = {}
        self._let_go: dict[NodeId, float] = {}
        self._hanging: dict[NodeId, float] = {}
        self._lapses: dict[NodeId, Lapses] = {}
        self._retired: frozenset[NodeId] = frozenset()
        self._writing: CommitGroup | None = None
        self._writing_since = 0.0
        self.disk_hangs = False
        """This node's disk has left a write unanswered for too long: others shall lead."""

    def note_retired(self, nodes: Iterable[NodeId]) -> None:
        """Nodes that register as leaving, by the newest map."""
        self._retired = frozenset(nodes)

    def look_at_disk(self) -> None:
        """Resigns where others are in sync when this node's disk hangs: its heartbeats would keep them from taking over."""
        around, group = self._home.around, self._home.around.committer.in_flight
        now, hung = around.clock.monotonic(), self.disk_hangs
        if group is not self._writing:
            self._writing, self._writing_since = group, now
        self.disk_hangs = group is not None and now - self._writing_since >= STALLS * around.timing.stall
        if self.disk_hangs:
            if not hung:
                log.error("the disk hangs: others shall lead", extra={"seconds": round(now - self._writing_since, 1)})
            for replica in self._home.replicas.values():
                if len(replica.info.in_sync) > 1:
                    self._home.resign(replica)
        elif hung:
            log.info("the disk answers again")

    def look(self, replica: Replica, primary: Primary) -> None:
        """One look at the followers of a partition."""
        now, timing = self._home.around.clock.monotonic(), self._home.around.timing
        required = primary.required()
        silent = [node for node in required if primary.followers[node].silent_since() + timing.lease <= now]
        for node in silent:
            self._lapses.setdefault(node, Lapses()).note(now, timing.lease)
        diverged = [node for node in required if primary.followers[node].copying]
        for node in primary.stuck(replica.tail, now, timing.stall):
            self._hanging[node] = now + HANGING_SECONDS
        # all partitions of a node share its disk: none of them is to wait for it as long as the first one did
        hanging = [node for node in required if self._hangs(node)]
        gone = dict.fromkeys([*silent, *diverged, *hanging])
        intake = self._home.around.committer.intake
        if intake.data is not None:
            self._hand_off(replica, primary)
        if intake.removals is None:
            gone |= dict.fromkeys(node for node in required if primary.followers[node].ailing)
        if gone:
            self._home.spawn(self._home.changes.remove(replica, list(gone)))
        for node, progress in primary.followers.items():
            if progress.known or progress.copying:
                self._home.feeding.consider(replica, node, progress)
        self._home.feeding.wake(replica)

    def lost_sight(self, node: NodeId, error: PeerUnreachable) -> None:
        """A node did not answer. If nobody listens there any more, its partitions need not wait until it counts as silent."""
        self._leaving.pop(node, None)
        now = self._home.around.clock.monotonic()
        if node in self._hanging:
            self._hanging[node] = now + HANGING_SECONDS
        if error.refused and now - self._let_go.get(node, -math.inf) >= self._home.around.timing.heartbeat:
            self._let_go[node] = now  # each failed message tells of it, and etcd may be away
            for replica in self._fed(node):
                self._home.spawn(self._home.changes.remove(replica, [node]))

    async def part_with(self, node: NodeId) -> None:
        """Lets a follower go that is about to stop."""
        self._leaving[node] = self._home.around.clock.monotonic() + LEAVING_SECONDS
        await asyncio.gather(*(self._part(replica, node) for replica in self._fed(node)))

    async def _part(self, replica: Replica, node: NodeId) -> None:
        """Another change of the map may be under way, so one try is not enough."""
        clock = self._home.around.clock
        end = clock.monotonic() + self._home.around.timing.lease
        while replica.primary is not None and node in replica.primary.required():
            await self._home.changes.remove(replica, [node])
            if clock.monotonic() >= end:
                return
            await clock.sleep(PART_SECONDS)

    def begins_anew(self, node: NodeId) -> None:
        """A node that has nothing has not left: it threw a corrupt engine away, and is to be copied to."""
        self._leaving.pop(node, None)

    def has_written(self, node: NodeId) -> None:
        """A follower has taken entries to its disk."""
        self._hanging.pop(node, None)

    def is_welcome(self, node: NodeId) -> bool:
        """Whether the node may enter an in-sync set: it neither leaves nor hangs, and is not silent again and again."""
        now, lapses = self._home.around.clock.monotonic(), self._lapses.get(node)
        on_probation = lapses is not None and now < lapses.probation_ends()
        return not (self.is_leaving(node) or self._hangs(node) or on_probation)

    def is_leaving(self, node: NodeId) -> bool:
        """Whether the node has announced that it leaves, and was not seen to be gone since, or registers as leaving."""
        return self._leaving.get(node, 0.0) > self._home.around.clock.monotonic() or node in self._retired

    def is_unfit(self, partition: PartitionId, node: NodeId) -> bool:
        """Whether the node had better not lead the partition: it is about to leave, or its disk hangs or takes no writes."""
        replica = self._home.replicas.get(partition)
        progress = replica.primary.followers.get(node) if replica is not None and replica.primary is not None else None
        return self.is_leaving(node) or self._hangs(node) or (progress is not None and progress.ailing)

    def room(self, partition: PartitionId, node: NodeId) -> Room:
        """What the node's disk has room for, as far as the partition's primary knows."""
        replica = self._home.replicas.get(partition)
        progress = replica.primary.followers.get(node) if replica is not None and replica.primary is not None else None
        return Room.AMPLE if progress is None else progress.room

    def _hangs(self, node: NodeId) -> bool:
        return self._hanging.get(node, 0.0) > self._home.around.clock.monotonic()

    def _fed(self, node: NodeId) -> list[Replica]:
        """Those for whose batches this node, as their primary, waits for the other one."""
        return [r for r in self._home.replicas.values() if r.primary is not None and node in r.primary.required()]

    def _hand_off(self, replica: Replica, primary: Primary) -> None:
        """This disk takes no data: one that does shall lead."""
        in_sync = (each for node, each in primary.followers.items() if node in replica.info.in_sync)
        healthy = any(not each.ailing and each.room is Room.AMPLE for each in in_sync)
        if healthy and primary.serving and not primary.closing:
            self._home.spawn(self._home.planned.hand_off(replica.info.id))
