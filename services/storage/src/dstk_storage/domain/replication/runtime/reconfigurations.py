"""Makes the changes of the map that an operator or the controller asks for (reconfiguration.py says which, and why)."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from dstk_cluster.model import PartitionInfo
from dstk_cluster.port import CoordinatorUnavailable
from dstk_keytypes import Key, NodeId, PartitionId
from dstk_service.clock import Clock
from dstk_service.logs.fields import LogFields
from dstk_storage.domain.errors import NotPrimary, PreconditionFailed
from dstk_storage.domain.events import MapChange, MapChanged
from dstk_storage.domain.replication import reconfiguration
from dstk_storage.domain.replication.actions import Observe
from dstk_storage.domain.replication.follower_handler import holders
from dstk_storage.domain.replication.machines import Machines
from dstk_storage.domain.replication.ports import MapChanger, Peers, PeerUnreachable
from dstk_storage.domain.replication.reconfiguration import Candidates, led
from dstk_storage.domain.replication.replica import Replica
from dstk_storage.domain.replication.runtime.informed import Informed
from dstk_storage.domain.replication.runtime.map_changes import MapChanges
from dstk_storage.domain.replication.runtime.quiescing import QUIESCE_SECONDS, Quiescing

log = logging.getLogger(__name__)

TRANSFERS_AT_ONCE = 16


class Reconfigurations:
    """Everything raises NotPrimary, PreconditionFailed (nothing was done), CoordinatorUnavailable (nobody knows)."""

    def __init__(
        self,
        machines: Machines,
        quiescing: Quiescing,
        changes: MapChanges,
        changer: MapChanger,
        peers: Peers,
        informed: Informed,
        clock: Clock,
        flush: Callable[[], None],
        elect: Callable[[], None],
    ) -> None:
        self._machines, self._quiescing, self._changes, self._changer = machines, quiescing, changes, changer
        self._peers, self._informed, self._clock = peers, informed, clock
        self._flush, self._elect = flush, elect
        self._replicas = machines.replicas
        self._candidates = Candidates(machines.replicas, machines.in_sync)

    def primary_of(self, number: PartitionId) -> Replica:
        """The replica that this node serves as its primary. Raises NotPrimary."""
        return led(self._replicas, number)[0]

    def quiet(self, replica: Replica) -> AbstractAsyncContextManager[None]:
        """While it lasts, the partition is quiesced and this node stays its primary: keep it to milliseconds."""
        return self._quiescing.quiet(led(self._replicas, replica.info.id))

    async def add_replica(self, number: PartitionId, node: NodeId) -> PartitionInfo:
        """Has the node hold a replica, which begins as a learner."""
        replica, _ = led(self._replicas, number)
        await self._quiescing.until_unchanging([replica])  # it may be that very replica that is being added
        if node not in replica.info.replicas:
            await self._change(replica, reconfiguration.with_replica(replica.info, self._next_epoch(replica), node))
            self._observe(MapChanged(MapChange.ADD_REPLICA, number, replica.info.epoch, node))
        return replica.info

    async def remove_replica(self, number: PartitionId, node: NodeId) -> PartitionInfo:
        """Has the node hold no replica any more."""
        replica, _ = led(self._replicas, number)
        await self._quiescing.until_unchanging([replica])  # what is checked below must still hold when it is asked for
        if node in replica.info.replicas:
            new = reconfiguration.without_replica(replica.info, self._next_epoch(replica), node)
            await self._change(replica, new)
            self._machines.primaries.advance(replica)
            self._observe(MapChanged(MapChange.REMOVE_REPLICA, number, new.epoch, node))
        return replica.info

    async def transfer(self, number: PartitionId, node: NodeId | None = None) -> PartitionInfo:
        """Gives the partition to another replica in sync; None: to the one whose node leads the fewest."""
        replica, primary = led(self._replicas, number)
        if node == replica.me:
            return replica.info
        lightest = self._candidates.lightest(replica, self._clock.monotonic())
        target = reconfiguration.transfer_target(replica.info, node, lightest)
        async with self._quiescing.stepped_down((replica, primary)):
            leaves = self._machines.elections.is_retiring or replica.is_suspect
            new = reconfiguration.transferred(replica, primary, target, leaves=leaves)
            await self._replace(replica, new)
            self._machines.promises.hear(number, self._clock.monotonic())
        self._observe(MapChanged(MapChange.TRANSFER, number, new.epoch, target))
        return new

    async def split(self, number: PartitionId, at: Key) -> tuple[PartitionInfo, PartitionInfo]:
        """Cuts the partition in two. Raises InvalidRange for a key that is not inside it."""
        replica, primary = led(self._replicas, number)
        replica.range.split(at)
        self._quiescing.check_disk()
        async with self._quiescing.stepped_down((replica, primary)):
            halves = await self._changer.split(replica.info, at)
            await self._informed.of(number, halves[0].epoch, QUIESCE_SECONDS)
        self._observe(MapChanged(MapChange.SPLIT, number, halves[0].epoch, other=halves[1].id))
        return halves

    async def merge(self, lower_id: PartitionId, upper_id: PartitionId) -> PartitionInfo:
        """Joins the partition with its upper neighbour."""
        (lower, primary), (upper, other) = led(self._replicas, lower_id), led(self._replicas, upper_id)
        reconfiguration.check_mergeable(lower, upper)
        reconfiguration.check_disks(primary, other)
        self._quiescing.check_disk()
        async with self._quiescing.stepped_down((lower, primary), (upper, other)):
            reconfiguration.check_mergeable(lower, upper)  # a change that was under way may have evicted a replica
            reconfiguration.check_disks(primary, other)
            merged = reconfiguration.merged(lower, upper)
            await self._changer.merge(lower.info, upper.info, merged)
            await self._informed.of(lower_id, merged.epoch, QUIESCE_SECONDS)
        self._observe(MapChanged(MapChange.MERGE, lower_id, merged.epoch, other=upper_id))
        return merged

    async def leave(self) -> None:
        """Transfers everything that this node leads, then announces that it stops. Never fails: the others take over what
        cannot be transferred when this node is gone.
        """
        self._machines.elections.is_retiring = True
        slots, now = asyncio.Semaphore(TRANSFERS_AT_ONCE), self._clock.monotonic()

        async def transfer(replica: Replica) -> None:
            async with slots:
                await self.hand_off(replica.info.id)

        mine = [replica for replica in self._replicas.values() if replica.primary is not None]
        movable = [replica for replica in mine if self._candidates.lightest(replica, now) is not None]
        await asyncio.gather(*map(transfer, movable))
        await asyncio.gather(*(self._announce_leave(node) for node in holders(self._replicas, self._machines.me)))

    async def hand_off(self, number: PartitionId) -> None:
        """Transfers the partition if that can be done."""
        try:
            await self.transfer(number)
        except (NotPrimary, PreconditionFailed, CoordinatorUnavailable) as error:
            log.warning("not transferred", extra=LogFields(partition=number, error=str(error)))

    async def force(self, number: PartitionId) -> PartitionInfo:
        """Takes this node's replica for the truth, whatever the others may have that it lacks. For an in-sync set that is lost:
        a primary that lives is not deposed.
        """
        replica = self._replicas.get(number)
        new = reconfiguration.forced(replica, number, self._machines.me)
        assert replica is not None
        await self._check_nobody_claims(replica, new.epoch)
        await self._replace(replica, new)
        me, position = self._machines.me, replica.log.tail
        self._observe(MapChanged(MapChange.FORCE_PRIMARY, number, new.epoch, me, position=position))
        self._elect()
        return new

    def _observe(self, event: MapChanged) -> None:
        self._machines.outbox.add(Observe(event))
        self._flush()

    async def _check_nobody_claims(self, replica: Replica, epoch: int) -> None:
        for node in replica.info.replicas:
            if node == replica.me:
                continue
            try:
                vote = await self._peers.request_vote(node, replica.info.id, epoch, 0)
            except PeerUnreachable:
                continue
            if vote.claims:
                reason = f"{node!r} is the primary of partition {replica.info.id} and lives: transfer it instead"
                raise PreconditionFailed(reason)

    async def _announce_leave(self, node: NodeId) -> None:
        try:
            await self._peers.leave(node)
        except PeerUnreachable as error:
            log.info("left without an answer", extra=LogFields(node=node, error=str(error)))

    def _next_epoch(self, replica: Replica) -> int:
        if replica.primary is None:
            raise NotPrimary(replica.info.id)
        return replica.primary.epoch + 1

    async def _change(self, replica: Replica, new: PartitionInfo) -> None:
        """Another list of replicas; the primary goes on."""
        if not await self._changes.change(replica, new):
            reason = f"the change of partition {replica.info.id} to {new.replicas} was not made: try again"
            raise PreconditionFailed(reason)
        self._machines.updater.resume(replica)
        self._flush()

    async def _replace(self, replica: Replica, new: PartitionInfo) -> None:
        """An entry that no primary makes, for this node does not lead the partition at the moment."""
        if not await self._changer.change(replica.info, new):
            raise PreconditionFailed(f"partition {new.id} has changed meanwhile: try again")
        if new.epoch > replica.info.epoch:
            self._machines.updater.follow(replica, new, self._clock.monotonic())
            self._flush()
