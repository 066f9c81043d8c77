"""All replicas of one node: the register of them, and the loop that sends heartbeats, looks after followers, and campaigns."""

import asyncio
import logging
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass

from typing_extensions import override

from dstk_cluster.model import ClusterMap, NodeState, PartitionInfo, SplitOff
from dstk_keytypes import NodeId, PartitionId
from dstk_service.clock import Clock
from dstk_service.observe import NULL, Observer
from dstk_storage.domain.batch import Batch
from dstk_storage.domain.commit import GroupCommitter
from dstk_storage.domain.converge import Assignment
from dstk_storage.domain.errors import CommitFailed
from dstk_storage.domain.events import PartitionQuarantined
from dstk_storage.domain.log import share
from dstk_storage.domain.partition import Partition
from dstk_storage.domain.replication.campaign import Campaign
from dstk_storage.domain.replication.care import Care
from dstk_storage.domain.replication.changes import Changes
from dstk_storage.domain.replication.feeding import Feeding
from dstk_storage.domain.replication.following import Following
from dstk_storage.domain.replication.leases import Promises, Timing, lease_end
from dstk_storage.domain.replication.planned import Planned
from dstk_storage.domain.replication.ports import Heartbeat, MapChanger, Peers, PeerUnreachable
from dstk_storage.domain.replication.rebuild import ATTEMPT_BITS
from dstk_storage.domain.replication.replica import Heir, Primary, Replica
from dstk_storage.domain.store import Store
from dstk_storage.domain.write_queue import Proposer

log = logging.getLogger(__name__)


SETTLE_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class Around:
    """What a replicator works with."""

    me: NodeId
    store: Store
    peers: Peers
    map_changer: MapChanger
    clock: Clock
    timing: Timing
    observer: Observer = NULL

    @property
    def committer(self) -> GroupCommitter:
        """Brings batches to this node's disk."""
        return self.store.committer


class Replicator(Proposer):
    """Keeps, per partition that the map gives to this node, a Replica; and runs the loops that they need."""

    def __init__(self, around: Around) -> None:
        self.around = around
        self.replicas: dict[PartitionId, Replica] = {}
        self.promises = Promises(around.timing, around.clock.monotonic())
        self.unclaimed_by: dict[NodeId, frozenset[tuple[PartitionId, int]]] = {}
        self.changes = Changes(self)
        self.feeding = Feeding(self)
        self.following = Following(self)
        self.care = Care(self)
        self.planned = Planned(self)
        self._campaign = Campaign(self)
        self.retiring = False
        """This node is about to stop, and takes nothing over."""
        self._mapped = asyncio.Event()
        self._has_map = False
        self._attempts = 0
        self._tasks: dict[asyncio.Task[None], None] = {}

    def on_map(self, current: ClusterMap) -> None:
        """Takes over a newer map: first in the replicas, then in the store, then in what must follow from both."""
        mine = {info.id: info for info in current.partitions if self.around.me in info.replicas}
        for number, replica in list(self.replicas.items()):
            info = mine.get(number)
            if info is None:
                self.resign(replica)
                del self.replicas[number]
            elif info.epoch > replica.info.epoch:
                self.changes.follow(replica, info)
        self.care.note_retired(node.id for node in current.nodes.values() if node.state is NodeState.LEAVING)
        # a primary may know of a change that it has made itself before the watch does
        newest = [self.replicas[info.id].info if info.id in self.replicas else info for info in mine.values()]
        self._converge(newest, current.revision)
        for info in newest:
            self._line_up(info)
        limit = share(len(self.replicas))
        for replica in self.replicas.values():
            replica.partition.log.resize(limit)
            self._set_apart(replica)
        self._has_map = True
        mapped, self._mapped = self._mapped, asyncio.Event()
        mapped.set()
        self.campaign_for_own()

    def _converge(self, mine: Iterable[PartitionInfo], revision: int) -> None:
        assigned = [Assignment(info.id, info.range, info.epoch, info.origin) for info in mine]
        for divergence in self.around.store.converge(assigned):
            log.info("converging with the partition map: %s", divergence, extra={"revision": revision})

    def _line_up(self, info: PartitionInfo) -> None:
        partition = self.around.store.local(info.id)
        assert partition is not None, f"the store does not know partition {info.id}"
        replica = self.replicas.get(info.id)
        if replica is None:
            self._begin(info, partition)
        elif replica.range != partition.range:
            replica.change_range()

    def _begin(self, info: PartitionInfo, partition: Partition) -> None:
        replica = Replica(self.around.me, info, partition, info.epoch, partition.range)
        parent = self.replicas.get(info.origin.parent) if isinstance(info.origin, SplitOff) else None
        if parent is not None and parent.resting and parent.info.epoch == info.epoch:
            replica.heir = Heir(info.epoch, info.epoch)
        self.replicas[info.id] = replica

    def _set_apart(self, replica: Replica) -> None:
        """What this node alone has in sync, and not whole, is quarantined: callers are told so, and nobody serves it, until
        another replica is taken for the truth (R13).
        """
        info, partition = replica.info, replica.partition
        lost = replica.rebuilding and info.in_sync == (self.around.me,)
        if lost == replica.lost:
            return
        replica.lost = partition.quarantined = lost
        if lost:
            self.around.store.activate(partition)
            log.error("quarantined: its only replica in sync is lost", extra={"partition": info.id})
            self.around.observer.observe(PartitionQuarantined(info.id, "its only replica in sync is lost"))
        else:
            self.around.store.deactivate(partition)

    def newest(self, partition: PartitionId) -> PartitionInfo | None:
        """The newest entry that is known of a replica here."""
        replica = self.replicas.get(partition)
        return None if replica is None else replica.info

    async def informed(self, partition: PartitionId, epoch: int, within: float) -> Replica | None:
        """The replica, as soon as the map is known in which its entry has this epoch; None: not in so many seconds."""
        try:
            async with asyncio.timeout(within):
                while (replica := self.replicas.get(partition)) is None or replica.info.epoch < epoch:
                    await self._mapped.wait()
        except TimeoutError:
            return None
        return replica

    async def informed_at_all(self) -> None:
        """Returns when this replicator has been given a map."""
        if not self._has_map:
            await self._mapped.wait()

    async def settled(self, within: float) -> None:
        """Returns when all that the map gives to this node to lead is served, by it or by another; or after so many seconds."""
        end = self.around.clock.monotonic() + within
        while self.around.clock.monotonic() < end:
            mine = [replica for replica in self.replicas.values() if replica.info.primary == self.around.me]
            if all(replica.primary is not None and replica.primary.serving for replica in mine):
                return
            await self.around.clock.sleep(SETTLE_SECONDS)

    def renew(self, replica: Replica) -> None:
        """Moves the partition's lease on."""
        if (primary := replica.primary) is not None:
            answered = [primary.followers[node].answered for node in primary.required()]
            primary.lease = lease_end(self.around.timing, answered)
            replica.partition.serve_until = primary.lease

    def begin_anew(self) -> None:
        """The engine has been replaced by an empty one: every replica here is to be copied."""
        for replica in self.replicas.values():
            self.resign(replica)
        self.around.store.begin_anew()
        for replica in self.replicas.values():
            replica.suspect = False

    def resign(self, replica: Replica) -> None:
        """Stops being the primary; what was under way has an unknown outcome."""
        if replica.primary is None:
            return
        log.warning("no longer primary", extra={"partition": replica.info.id, "epoch": replica.primary.epoch})
        self.around.store.deactivate(replica.partition)
        reason = CommitFailed("the partition has another primary now")
        replica.resign()
        replica.partition.pending.abandon(reason)

    @override
    def propose(self, batch: Batch) -> None:
        replica = self.replicas.get(batch.partition.id)
        assert replica is not None, "a partition that is served has a replica"
        self.feeding.propose(replica, batch)

    async def heartbeat_to(self, node: NodeId) -> None:
        """One heartbeat; its answer renews the leases that rest on the node."""
        sent = self.around.clock.monotonic()
        claims = {
            number: replica.primary.epoch
            for number, replica in self.replicas.items()
            if replica.primary is not None and node in replica.primary.followers
        }
        try:
            refused = await self.around.peers.heartbeat(node, Heartbeat(self.around.me, claims, self._unclaimed()))
        except PeerUnreachable as error:
            self.care.lost_sight(node, error)
            return
        for number, epoch in claims.items():
            replica = self.replicas.get(number)
            if replica is not None and replica.primary is not None and replica.primary.won <= epoch:
                self._heard(replica, replica.primary, node, sent, refused.get(number))

    def _heard(self, replica: Replica, primary: Primary, node: NodeId, sent: float, refused: int | None) -> None:
        progress = primary.followers.get(node)
        if progress is None:
            return
        if refused is not None and refused > primary.epoch:
            self.spawn(self.changes.outbid(replica, refused))
        elif refused != 0:
            progress.answered = max(progress.answered, sent)
            self.renew(replica)
        if refused and progress.known and not progress.copying:
            progress.ask_anew()  # it may have lost everything since it said where it stands, and an idle partition asks nothing
            self.feeding.wake(replica)

    def _unclaimed(self) -> frozenset[tuple[PartitionId, int]]:
        me = self.around.me
        return frozenset(
            (info.id, info.epoch)
            for info in (r.info for r in self.replicas.values() if r.primary is None and not r.campaigning)
            if info.primary == me
        )

    def next_attempt(self) -> int:
        """A number for a copy, new to this process."""
        self._attempts = (self._attempts + 1) % (1 << ATTEMPT_BITS)
        return self._attempts

    async def run(self) -> None:
        """Heartbeats, looks at the disk, removes followers that fall silent, campaigns; until cancelled."""
        while True:
            for node in self.others():
                self.spawn(self.heartbeat_to(node))
            self.care.look_at_disk()
            self.feeding.count_joining()
            for replica in list(self.replicas.values()):
                if replica.primary is not None:
                    self.care.look(replica, replica.primary)
            self._campaign_where_due(list(self.replicas.values()))
            await self.around.clock.sleep(self.around.timing.heartbeat)

    def campaign_for_own(self) -> None:
        """Campaigns at once for what the map gives to this node to lead."""
        self._campaign_where_due(
            replica for replica in self.replicas.values() if replica.info.primary == self.around.me
        )

    def _campaign_where_due(self, replicas: Iterable[Replica]) -> None:
        for replica in replicas:
            if replica.primary is None and self._campaign.is_due(replica):
                replica.campaigning = True
                self.spawn(self._campaign.run(replica))

    def end(self) -> None:
        """Ends everything that this replicator has begun."""
        for task in list(self._tasks):
            task.cancel()

    def others(self) -> list[NodeId]:
        """Nodes that hold replicas of the same partitions."""
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
