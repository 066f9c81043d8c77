"""All replicas of one node: the register of them, and the loop that sends beacons, looks after followers, and campaigns."""

import asyncio
import logging
from collections.abc import Coroutine
from dataclasses import dataclass

from dstk_cluster.model import ClusterMap, PartitionInfo
from dstk_keytypes import NodeId, PartitionId
from dstk_service.clock import Clock
from dstk_storage.domain.commit import Committer
from dstk_storage.domain.errors import CommitFailed
from dstk_storage.domain.partition import Partition
from dstk_storage.domain.replication.campaign import Campaign
from dstk_storage.domain.replication.changes import Changes
from dstk_storage.domain.replication.feeding import Feeding
from dstk_storage.domain.replication.following import Following
from dstk_storage.domain.replication.leases import Promises, Timing, lease_end
from dstk_storage.domain.replication.ports import Beacon, MapChanger, Peers, PeerUnreachable
from dstk_storage.domain.replication.replica import Primary, Replica
from dstk_storage.domain.replication.ring import Ring
from dstk_storage.domain.store import Store

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Around:
    """What a replicator works with."""

    me: NodeId
    store: Store
    peers: Peers
    map_changer: MapChanger
    clock: Clock
    timing: Timing

    @property
    def committer(self) -> Committer:
        """Brings batches to this node's disk."""
        return self.store.committer


class Replicator:
    """Keeps, per partition that the map gives to this node, a Replica; and runs the loops that they need."""

    def __init__(self, around: Around) -> None:
        self.around = around
        self.replicas: dict[PartitionId, Replica] = {}
        self.promises = Promises(around.timing, around.clock.monotonic())
        self.unclaimed_by: dict[NodeId, frozenset[tuple[PartitionId, int]]] = {}
        self.changes = Changes(self)
        self.feeding = Feeding(self)
        self.following = Following(self)
        self._campaign = Campaign(self)
        self._tasks: dict[asyncio.Task[None], None] = {}

    def on_map(self, current: ClusterMap) -> None:
        """Takes over a newer map."""
        mine = {info.id: info for info in current.partitions if self.around.me in info.replicas}
        for gone in [number for number in self.replicas if number not in mine]:
            self.resign(self.replicas[gone])
            del self.replicas[gone]
        for info in mine.values():
            partition = self.around.store.local(info.id)
            assert partition is not None, f"the store does not know partition {info.id}"
            replica = self.replicas.get(info.id)
            if replica is None:
                self._begin(info, partition)
            elif info.epoch > replica.info.epoch:
                self.changes.follow(replica, info)

    def _begin(self, info: PartitionInfo, partition: Partition) -> None:
        position = partition.history.position
        replica = Replica(self.around.me, info, partition, info.epoch, Ring(position), position, position)
        replica.rebuilding = partition.rebuilding
        self.replicas[info.id] = replica
        partition.replicate = lambda batch: self.feeding.seal(replica, batch)

    def renew(self, replica: Replica) -> None:
        """Moves the partition's lease on."""
        if (primary := replica.primary) is not None:
            answered = [primary.followers[node].answered for node in primary.required()]
            replica.partition.serve_until = lease_end(self.around.timing, answered)

    def resign(self, replica: Replica) -> None:
        """Stops being the primary; what was under way has an unknown outcome."""
        if replica.primary is None:
            return
        log.warning("no longer primary", extra={"partition": replica.info.id, "epoch": replica.primary.epoch})
        self.around.store.deactivate(replica.partition)
        reason = CommitFailed("the partition has another primary now")
        self.around.committer.abandon(replica.partition, replica.resign(), reason)

    async def beacon_to(self, node: NodeId) -> None:
        """One beacon; its answer renews the leases that rest on the node."""
        sent = self.around.clock.monotonic()
        claims = {
            number: replica.primary.epoch
            for number, replica in self.replicas.items()
            if replica.primary is not None and node in replica.primary.followers
        }
        try:
            refused = await self.around.peers.beacon(node, Beacon(self.around.me, claims, self._unclaimed()))
        except PeerUnreachable:
            return
        for number, epoch in claims.items():
            replica = self.replicas.get(number)
            if replica is not None and replica.primary is not None and replica.primary.won <= epoch:
                self._heard(replica, replica.primary, node, sent, refused.get(number))

    def _heard(self, replica: Replica, primary: Primary, node: NodeId, sent: float, refused: int | None) -> None:
        progress = primary.followers[node]
        if refused is None:
            progress.answered = max(progress.answered, sent)
            self.renew(replica)
        elif refused > primary.epoch:
            self.spawn(self.changes.outbid(replica, refused))

    def _unclaimed(self) -> frozenset[tuple[PartitionId, int]]:
        me = self.around.me
        return frozenset(
            (info.id, info.epoch)
            for info in (r.info for r in self.replicas.values() if r.primary is None and not r.campaigning)
            if info.primary == me
        )

    async def run(self) -> None:
        """Beacons, removes followers that fall silent, campaigns; until cancelled."""
        while True:
            for node in self._others():
                self.spawn(self.beacon_to(node))
            for replica in list(self.replicas.values()):
                if replica.primary is not None:
                    self._look_after(replica, replica.primary)
                elif self._campaign.is_due(replica):
                    self.spawn(self._campaign.run(replica))
            await self.around.clock.sleep(self.around.timing.beacon)

    def end(self) -> None:
        """Ends everything that this replicator has begun."""
        for task in list(self._tasks):
            task.cancel()

    def _look_after(self, replica: Replica, primary: Primary) -> None:
        now = self.around.clock.monotonic()
        silent = [
            node
            for node in primary.required()
            if primary.followers[node].silent_since() + self.around.timing.lease <= now
        ]
        diverged = [node for node in primary.required() if primary.followers[node].copying]
        if silent or diverged:
            self.spawn(self.changes.remove(replica, [*dict.fromkeys([*silent, *diverged])]))
        for node, progress in primary.followers.items():
            if progress.known or progress.copying:
                self.feeding.consider(replica, node, progress)
        self.feeding.wake(replica)

    def _others(self) -> list[NodeId]:
        nodes = dict.fromkeys(node for replica in self.replicas.values() for node in replica.info.replicas)
        return [node for node in nodes if node != self.around.me]

    def spawn(self, work: Coroutine[None, None, None]) -> "asyncio.Task[None]":
        """Runs something beside the loops, and ends it with them."""
        task = asyncio.create_task(work)
        self._tasks[task] = None
        task.add_done_callback(self._done)
        return task

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._tasks.pop(task, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("replication failed in an unforeseen way", exc_info=error)
