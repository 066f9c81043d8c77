"""What a primary changes in the partition map: who is in sync, and its epoch."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from dstk_cluster.model import PartitionInfo
from dstk_cluster.port import CoordinatorUnavailable
from dstk_keytypes import NodeId
from dstk_storage.domain.events import ReplicaAdmitted, ReplicaEvicted
from dstk_storage.domain.replication.replica import Primary, Progress, Replica

if TYPE_CHECKING:
    from dstk_storage.domain.replication.replicator import Replicator

log = logging.getLogger(__name__)

AT_ONCE = 16
"""Changes of the map under way at one moment. When a node falls silent all partitions that it follows ask for one; were
they all to go at once, this node would be too busy to send the heartbeats that keep it from being thought gone itself.
"""


class Changes:
    """See the module. A change whose outcome is unknown stays among the primary's attempts."""

    def __init__(self, home: "Replicator") -> None:
        self._home = home
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def replace(self, old: PartitionInfo, new: PartitionInfo) -> bool:
        """Replaces an entry of the map, when its turn has come; False: it was another one already. Raises
        CoordinatorUnavailable, and may have changed it then.
        """
        async with self._turns:
            return await self._home.around.map_changer.change(old, new)

    def follow(self, replica: Replica, info: PartitionInfo) -> None:
        """Takes over a newer entry: one that this primary has made itself it goes on with, any other ends its office."""
        primary = replica.primary
        if primary is not None and info in primary.attempts:
            self._adopt(replica, primary, info)
            return
        if primary is not None and info.epoch > primary.epoch:
            self._home.resign(replica)
        replica.follow(info)

    async def change(self, replica: Replica, new: PartitionInfo) -> bool:
        """One change of the map by this replica's primary, which goes on with the new epoch; False: it did not happen, or
        nobody knows. What nobody knows is kept among the attempts until the map shows it, or a later change has won (R7).
        """
        primary, old = replica.primary, replica.info
        assert primary is not None
        if primary.changing:
            return False
        primary.changing = True
        primary.attempts.append(new)
        try:
            done = await self.replace(old, new)
            if not done:
                await self._look_up(replica, primary)
        except CoordinatorUnavailable as error:
            log.warning("a change of the map waits for etcd", extra={"partition": old.id, "reason": str(error)})
            return False
        finally:
            primary.changing = False
        if done and replica.primary is primary and new.epoch > primary.epoch:
            self._adopt(replica, primary, new)
        return done and replica.primary is primary and replica.info == new

    def _adopt(self, replica: Replica, primary: Primary, info: PartitionInfo) -> None:
        """Goes on with an entry that this primary has made."""
        primary.attempts.clear()
        replica.info = info
        replica.promise(info.epoch)
        primary.epoch = replica.partition.epoch = info.epoch
        self._enlist(replica, primary, info)
        for node, progress in primary.followers.items():
            if node in info.in_sync:
                progress.required, progress.joins_at = True, None
            elif progress.joins_at is None:
                progress.required = False

    def _enlist(self, replica: Replica, primary: Primary, info: PartitionInfo) -> None:
        """Followers are those that the map names."""
        now = self._home.around.clock.monotonic()
        others = [node for node in info.replicas if node != replica.me]
        primary.followers = {
            node: primary.followers.get(node) or Progress(since=now, added=info.epoch) for node in others
        }

    async def _look_up(self, replica: Replica, primary: Primary) -> None:
        """The map's entry is not what it was thought to be: an earlier attempt has worked, or another node has won.

        Another's entry is not taken over from here: the watch, which may be far behind, is still to tell of those before it. By
        one of them this node may be no replica and drop everything, after it has answered as one that knows the newest (R8).
        """
        found = await self._home.around.map_changer.read(replica.info.id)
        if found is None or replica.primary is not primary or found.epoch <= primary.epoch:
            return
        if found in primary.attempts:
            self._adopt(replica, primary, found)
        else:
            self._home.resign(replica)
            replica.promise(found.epoch)

    async def admit(self, replica: Replica, node: NodeId) -> None:
        """Takes a learner that has everything into the in-sync set."""
        primary, info = replica.primary, replica.info
        progress = None if primary is None else primary.followers.get(node)
        if primary is None or progress is None or not progress.required or node in info.in_sync:
            return
        new = replace(info, epoch=primary.epoch + 1, in_sync=tuple(sorted((*info.in_sync, node))))
        if await self.change(replica, new):
            progress.joins_at = None
            log.info("replica in sync", extra={"partition": info.id, "node": node})
            self._home.around.observer.observe(ReplicaAdmitted(info.id, node, new.epoch))

    async def remove(self, replica: Replica, gone: Sequence[NodeId]) -> None:
        """Takes silent or diverged nodes out of the in-sync set; only then may the primary go on without them."""
        primary, info = replica.primary, replica.info
        if primary is None:
            return
        members = [node for node in gone if node in info.in_sync]
        if members or primary.attempts:
            new = replace(
                info, epoch=primary.epoch + 1, in_sync=tuple(node for node in info.in_sync if node not in gone)
            )
            if not await self.change(replica, new) or replica.primary is not primary:
                return
            if members:
                log.warning("out of sync", extra={"partition": info.id, "nodes": members, "epoch": new.epoch})
                for node in members:
                    self._home.around.observer.observe(ReplicaEvicted(info.id, node, new.epoch))
        for node in gone:
            if (progress := primary.followers.get(node)) is not None:
                progress.required = progress.copying = False
                progress.joins_at = None
                progress.ask_anew()
        self._home.feeding.advance(replica)
        self._home.feeding.wake(replica)

    async def outbid(self, replica: Replica, promised: int) -> None:
        """A follower has promised a higher epoch to a candidate that did not win: goes above it."""
        primary = replica.primary
        if primary is None or promised <= primary.epoch:
            return  # outbid already: a heartbeat and an append both tell of it
        if not replica.believes(promised):
            log.error(
                "a follower names an epoch that cannot be", extra={"partition": replica.info.id, "epoch": promised}
            )
            return
        if await self.change(replica, replace(replica.info, epoch=promised)):
            self._home.feeding.wake(replica)
