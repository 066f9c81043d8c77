"""Looking after followers: who is let go from the in-sync sets, why and when, and who is taken along again."""

import asyncio
import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from dstk_keytypes import NodeId, PartitionId
from dstk_storage.domain.replication.ports import PeerUnreachable
from dstk_storage.domain.replication.replica import Primary, Replica

if TYPE_CHECKING:
    from dstk_storage.domain.replication.replicator import Replicator

LEAVING_SECONDS = 10.0
"""How long a node that has said farewell is kept out of the in-sync sets, unless it is seen to be gone before."""

PART_SECONDS = 0.01


class Care:
    """The primary's judgement of its followers. To let one go is always safe: it takes a change of the map."""

    def __init__(self, home: "Replicator") -> None:
        self._home = home
        self._leaving: dict[NodeId, float] = {}
        self._let_go: dict[NodeId, float] = {}
        self._retired: frozenset[NodeId] = frozenset()

    def note_retired(self, nodes: Iterable[NodeId]) -> None:
        """Nodes that register as leaving, by the newest map."""
        self._retired = frozenset(nodes)

    def look(self, replica: Replica, primary: Primary) -> None:
        """One look at the followers of a partition."""
        now, timing = self._home.around.clock.monotonic(), self._home.around.timing
        required = primary.required()
        silent = [node for node in required if primary.followers[node].silent_since() + timing.lease <= now]
        diverged = [node for node in required if primary.followers[node].copying]
        gone = dict.fromkeys([*silent, *diverged, *primary.stuck(replica.tail, now, timing.stall)])
        if self._home.around.committer.refuses:
            self._hand_off(replica, primary)
        else:
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
        if error.refused and now - self._let_go.get(node, -math.inf) >= self._home.around.timing.beacon:
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

    def is_leaving(self, node: NodeId) -> bool:
        """Whether the node has said farewell, and was not seen to be gone since, or registers as leaving."""
        return self._leaving.get(node, 0.0) > self._home.around.clock.monotonic() or node in self._retired

    def is_unfit(self, partition: PartitionId, node: NodeId) -> bool:
        """Whether the node had better not lead the partition: it is about to leave, or its disk takes no writes."""
        replica = self._home.replicas.get(partition)
        progress = replica.primary.followers.get(node) if replica is not None and replica.primary is not None else None
        return self.is_leaving(node) or (progress is not None and progress.ailing)

    def _fed(self, node: NodeId) -> list[Replica]:
        """Those for whose batches this node, as their primary, waits for the other one."""
        return [r for r in self._home.replicas.values() if r.primary is not None and node in r.primary.required()]

    def _hand_off(self, replica: Replica, primary: Primary) -> None:
        """This disk takes no writes: one that does shall lead."""
        healthy = any(not each.ailing for node, each in primary.followers.items() if node in replica.info.in_sync)
        if healthy and primary.serving and not primary.closing:
            self._home.spawn(self._home.planned.hand_off(replica.info.id))
