"""Signs of life between this node and the others."""

import asyncio
import math
from collections.abc import Callable

from dstk_keytypes import NodeId
from dstk_service.clock import Clock
from dstk_storage.domain.replication.actions import Evict
from dstk_storage.domain.replication.machines import Machines
from dstk_storage.domain.replication.ports import Peers, PeerUnreachable
from dstk_storage.domain.replication.replica import Replica
from dstk_storage.domain.replication.runtime.map_changes import MapChanges
from dstk_storage.domain.replication.timing import Timing

LEAVE_SECONDS = 0.01
"""Between two tries to evict a follower that is about to stop."""


class Links:
    """Sends heartbeats, and draws conclusions from what the other nodes do not answer."""

    def __init__(
        self,
        machines: Machines,
        changes: MapChanges,
        peers: Peers,
        clock: Clock,
        timing: Timing,
        flush: Callable[[], None],
    ) -> None:
        self._machines, self._changes, self._peers = machines, changes, peers
        self._clock, self._timing, self._flush = clock, timing, flush
        self._refused: dict[NodeId, float] = {}

    async def heartbeat(self, node: NodeId) -> None:
        """One heartbeat; its response renews the leases that rest on the node."""
        leases, sent = self._machines.leases, self._clock.monotonic()
        try:
            response = await self._peers.heartbeat(node, leases.heartbeat(node))
        except PeerUnreachable as error:
            self.unreachable(node, error)
            return
        refusals = leases.answer(node, sent, response)
        self._machines.primaries.heartbeat_answered(self._machines.replicas, node, refusals)
        self._flush()

    def unreachable(self, node: NodeId, error: PeerUnreachable) -> None:
        """The node did not answer. If nobody listens there any more, its partitions need not wait until it counts as silent."""
        now = self._clock.monotonic()
        self._machines.in_sync.note_unreachable(node, now)
        if error.refused and now - self._refused.get(node, -math.inf) >= self._timing.heartbeat:
            self._refused[node] = now  # each failed message tells of it, and etcd may be away
            for replica in self._waiting_for(node):
                self._machines.outbox.add(Evict(replica, [node]))
            self._flush()

    async def evict(self, node: NodeId) -> None:
        """Evicts a follower that is about to stop from all in-sync sets that this node leads."""
        self._machines.in_sync.note_leave(node, self._clock.monotonic())
        await asyncio.gather(*(self._evict(replica, node) for replica in self._waiting_for(node)))

    async def _evict(self, replica: Replica, node: NodeId) -> None:
        """Another change of the map may be under way, so one try is not enough."""
        end = self._clock.monotonic() + self._timing.lease
        while replica.primary is not None and node in replica.primary.required():
            await self._changes.evict(replica, [node])
            if self._clock.monotonic() >= end:
                return
            await self._clock.sleep(LEAVE_SECONDS)

    def _waiting_for(self, node: NodeId) -> list[Replica]:
        """The replicas for whose batches this node, as their primary, waits for the other one."""
        replicas = self._machines.replicas.values()
        return [each for each in replicas if each.primary is not None and node in each.primary.required()]
