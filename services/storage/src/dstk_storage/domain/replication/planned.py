"""Changes of the map that an operator or the controller asks for. Each is made by the partition's primary.

A change of who is a replica is one transaction, and the primary goes on. A change of range or of primary brings the partition
to rest first: nothing new is let in, what is under way ends, and all replicas in sync stand at one position. Then the primary
resigns and makes the change, one transaction; whom the map then names leads by that entry (R9). So these changes need no rules
of their own for what is lost or unknown on the way: at worst an election follows that finds the map as it was.

Callers are told to try again meanwhile, which clients and routers do: some 30 ms.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from dstk_cluster.mapstore import MapConflict
from dstk_cluster.model import PartitionInfo
from dstk_cluster.port import CoordinatorUnavailable
from dstk_keytypes import Key, NodeId, PartitionId
from dstk_storage.domain.errors import NotPrimary, Unfit
from dstk_storage.domain.replication.joining import check_mergeable, joined
from dstk_storage.domain.replication.ports import PeerUnreachable
from dstk_storage.domain.replication.replica import Primary, Replica

if TYPE_CHECKING:
    from dstk_storage.domain.replication.replicator import Replicator

log = logging.getLogger(__name__)

REST_SECONDS = 1.0
"""How long a partition may take to come to rest before it goes on instead."""

LOOK_SECONDS = 0.002
HANDOVERS_AT_ONCE = 16


class Planned:
    """See the module. Everything raises NotPrimary, Unfit (nothing was done), CoordinatorUnavailable (nobody knows)."""

    def __init__(self, home: "Replicator") -> None:
        self._home = home

    async def add_replica(self, number: PartitionId, node: NodeId) -> PartitionInfo:
        """Has the node hold a replica; it begins as a learner."""
        replica, _ = self._mine(number)
        if node not in replica.info.replicas:
            await self._change(replica, replicas=(*replica.info.replicas, node))
        return replica.info

    async def remove_replica(self, number: PartitionId, node: NodeId) -> PartitionInfo:
        """Has the node hold no replica any more."""
        replica, _ = self._mine(number)
        await self._until_unchanging([replica])  # what is checked below must still hold when it is asked for
        info = replica.info
        if node not in info.replicas:
            return info
        if node == info.primary:
            raise Unfit(f"{node!r} is the primary of partition {number}: transfer the primary first")
        others = [other for other in info.replicas if other not in (node, info.primary)]
        if others and not any(other in info.in_sync for other in others):
            raise Unfit(
                f"{node!r} is the only other replica of partition {number} in sync: wait until one of {others} is"
            )
        in_sync = tuple(member for member in info.in_sync if member != node)
        await self._change(replica, replicas=tuple(each for each in info.replicas if each != node), in_sync=in_sync)
        self._home.feeding.advance(replica)
        return replica.info

    async def transfer(self, number: PartitionId, node: NodeId | None = None) -> PartitionInfo:
        """Hands the partition over to another replica in sync; None: to the one whose node leads the fewest."""
        replica, primary = self._mine(number)
        target = node or self._lightest(replica.info)
        if target == self._home.around.me:
            return replica.info
        if target is None or target not in replica.info.in_sync:
            raise Unfit(
                f"no replica of partition {number} in sync on {node or 'any other node'!r}: {replica.info.in_sync}"
            )
        async with self._at_rest((replica, primary)):
            if target not in replica.info.in_sync:
                raise Unfit(f"{target!r} has fallen out of sync meanwhile: try again")
            new = replace(replica.info, epoch=primary.epoch + 1, primary=target)
            if (
                self._home.retiring or replica.suspect
            ):  # one transaction less: nobody has to let this node go afterwards
                new = replace(new, in_sync=tuple(node for node in new.in_sync if node != self._home.around.me))
            if not await self._home.around.map_changer.change(replica.info, new):
                raise Unfit(f"partition {number} has changed meanwhile: try again")
            if new.epoch > replica.info.epoch:
                self._home.changes.follow(replica, new)
            self._home.promises.hear(number, self._home.around.clock.monotonic())
        log.info("handed over", extra={"partition": number, "to": target, "epoch": new.epoch})
        return new

    async def split(self, number: PartitionId, at: Key) -> tuple[PartitionInfo, PartitionInfo]:
        """Cuts the partition in two. Raises InvalidRange for a key that is not inside it."""
        replica, primary = self._mine(number)
        replica.range.split(at)
        async with self._at_rest((replica, primary)):
            halves = await self._home.around.map_changer.split(replica.info, at)
            await self._home.informed(number, halves[0].epoch, REST_SECONDS)
        log.info("split", extra={"partition": number, "upper": halves[1].id, "epoch": halves[0].epoch})
        return halves

    async def merge(self, lower_id: PartitionId, upper_id: PartitionId) -> PartitionInfo:
        """Joins the partition with its upper neighbour."""
        (lower, primary), (upper, other) = self._mine(lower_id), self._mine(upper_id)
        check_mergeable(lower, upper)
        async with self._at_rest((lower, primary), (upper, other)):
            check_mergeable(lower, upper)  # a change that was under way may have let a replica go
            merged = joined(lower, upper)
            await self._home.around.map_changer.merge(lower.info, upper.info, merged)
            await self._home.informed(lower_id, merged.epoch, REST_SECONDS)
        log.info("merged", extra={"partition": lower_id, "upper": upper_id, "epoch": merged.epoch})
        return merged

    async def leave(self) -> None:
        """Hands over everything that this node leads, then tells the others that it stops. Never fails: what cannot be handed
        over is taken over when this node is gone.
        """
        self._home.retiring = True
        slots = asyncio.Semaphore(HANDOVERS_AT_ONCE)

        async def hand_over(replica: Replica) -> None:
            async with slots:
                await self.hand_off(replica.info.id)

        led = [replica for replica in self._home.replicas.values() if replica.primary is not None]
        await asyncio.gather(*(hand_over(replica) for replica in led if self._lightest(replica.info) is not None))
        await asyncio.gather(*(self._announce_leave(node) for node in self._home.others()))

    async def hand_off(self, number: PartitionId) -> None:
        """Hands the partition over if that can be done; this node cannot write at the moment."""
        try:
            await self.transfer(number)
        except (NotPrimary, Unfit, CoordinatorUnavailable) as error:
            log.warning("not handed over", extra={"partition": number, "reason": str(error)})

    async def force(self, number: PartitionId) -> PartitionInfo:
        """Takes this node's replica for the truth, whatever the others may have that it lacks. For an in-sync set that is
        lost: a primary that lives is not deposed.
        """
        replica = self._home.replicas.get(number)
        if replica is None or replica.rebuilding or replica.partition.quarantined:
            raise Unfit(f"{self._home.around.me!r} has no whole replica of partition {number}")
        if replica.primary is not None:
            raise Unfit(f"{self._home.around.me!r} is the primary of partition {number} already")
        epoch = max(replica.promised, replica.info.epoch) + 1
        await self._check_nobody_claims(replica, epoch)
        me = self._home.around.me
        new = replace(replica.info, epoch=epoch, primary=me, in_sync=(me,))
        if not await self._home.around.map_changer.change(replica.info, new):
            raise Unfit(f"partition {number} has changed meanwhile: look again")
        log.warning("forced to be primary", extra={"partition": number, "position": replica.tail, "epoch": epoch})
        if new.epoch > replica.info.epoch:
            self._home.changes.follow(replica, new)
        self._home.campaign_for_own()
        return new

    async def _check_nobody_claims(self, replica: Replica, epoch: int) -> None:
        for node in replica.info.replicas:
            if node == self._home.around.me:
                continue
            try:
                standing = await self._home.around.peers.request_vote(node, replica.info.id, epoch, 0)
            except PeerUnreachable:
                continue
            if standing.claims:
                raise Unfit(f"{node!r} is the primary of partition {replica.info.id} and lives: transfer it instead")

    def primary_of(self, number: PartitionId) -> Replica:
        """The replica that this node serves as its primary. Raises NotPrimary."""
        return self._mine(number)[0]

    @asynccontextmanager
    async def quiet(self, replica: Replica) -> AsyncIterator[None]:
        """While it lasts, the partition rests and this node stays its primary: keep it to milliseconds."""
        _, primary = self._mine(replica.info.id)
        async with self._closed(replica, primary):
            await self._come_to_rest(replica, primary)
            yield

    async def _announce_leave(self, node: NodeId) -> None:
        try:
            await self._home.around.peers.leave(node)
        except PeerUnreachable as error:
            log.info("left without a word", extra={"node": node, "reason": str(error)})

    def _mine(self, number: PartitionId) -> tuple[Replica, Primary]:
        replica = self._home.replicas.get(number)
        if replica is None or replica.primary is None or not replica.primary.serving or replica.primary.closing:
            raise NotPrimary(number)
        return replica, replica.primary

    def _lightest(self, info: PartitionInfo) -> NodeId | None:
        others = (
            node
            for node in info.in_sync
            if node != self._home.around.me and not self._home.care.is_unfit(info.id, node)
        )
        leads = dict.fromkeys(others, 0)
        for replica in self._home.replicas.values():
            if replica.info.primary in leads:
                leads[replica.info.primary] += 1
        room = self._home.care.room
        return min(leads, key=lambda node: (room(info.id, node), leads[node], node), default=None)

    async def _change(
        self, replica: Replica, *, replicas: Iterable[NodeId], in_sync: Iterable[NodeId] | None = None
    ) -> None:
        """Another list of replicas; the primary goes on."""
        await self._until_unchanging([replica])
        primary = replica.primary
        if primary is None:
            raise NotPrimary(replica.info.id)
        members = replica.info.in_sync if in_sync is None else tuple(in_sync)
        new = replace(replica.info, epoch=primary.epoch + 1, replicas=tuple(replicas), in_sync=members)
        if not await self._home.changes.change(replica, new):
            raise Unfit(f"the change of partition {replica.info.id} to {new.replicas} was not made: try again")
        self._home.feeding.wake(replica)

    @asynccontextmanager
    async def _at_rest(self, *resting: tuple[Replica, Primary]) -> AsyncIterator[None]:
        """Around the one transaction: the partitions rest, and this node has resigned from them. If it resigned and the
        transaction did not happen, or nobody knows, the next election decides.
        """
        async with AsyncExitStack() as stack:
            for replica, primary in resting:
                await stack.enter_async_context(self._closed(replica, primary))
            await self._until_unchanging([replica for replica, _ in resting])
            for replica, primary in resting:
                await self._come_to_rest(replica, primary)
            for replica, primary in resting:
                if replica.primary is not primary or not primary.at_rest(replica.tail):
                    raise Unfit(f"partition {replica.info.id} has changed hands meanwhile: try again")
            for replica, _ in resting:
                replica.campaigning = replica.resting = True  # nobody shall think that nobody claims it
                self._home.resign(replica)
            try:
                yield
            except MapConflict as error:
                raise Unfit(f"{error}: try again") from error
            finally:
                for replica, _ in resting:
                    replica.campaigning = replica.resting = False
                self._home.campaign_for_own()

    @asynccontextmanager
    async def _closed(self, replica: Replica, primary: Primary) -> AsyncIterator[None]:
        primary.closing = replica.partition.closed = True
        try:
            yield
        finally:
            primary.closing = replica.partition.closed = False

    async def _come_to_rest(self, replica: Replica, primary: Primary) -> None:
        """When it rests, its followers are asked where they stand: one that has lost everything since it last answered must not
        be handed the partition (R6).
        """
        await self._until_it_rests(replica, primary)
        for progress in primary.followers.values():
            if progress.required:
                progress.ask_anew()
        self._home.feeding.wake(replica)
        await self._until_it_rests(replica, primary)

    async def _until_it_rests(self, replica: Replica, primary: Primary) -> None:
        clock = self._home.around.clock
        end = clock.monotonic() + REST_SECONDS
        while replica.primary is primary and not self._rests(replica, primary):
            if clock.monotonic() >= end:
                raise Unfit(f"partition {replica.info.id} does not come to rest: a replica is slow; try again")
            await clock.sleep(LOOK_SECONDS)

    def _rests(self, replica: Replica, primary: Primary) -> bool:
        partition = replica.partition
        return (
            self._home.around.committer.has_persisted(partition)
            and partition.pending.is_empty()
            and partition.log.position == replica.tail
            and primary.at_rest(replica.tail)
        )

    async def _until_unchanging(self, replicas: Iterable[Replica]) -> None:
        """Changes that the primary makes by itself go first."""
        clock = self._home.around.clock
        end = clock.monotonic() + REST_SECONDS
        while any(replica.primary is not None and replica.primary.changing for replica in replicas):
            if clock.monotonic() >= end:
                raise Unfit("another change of the partition is under way: try again")
            await clock.sleep(LOOK_SECONDS)
