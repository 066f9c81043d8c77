"""Makes the changes of the map that primaries ask for, each one transaction."""

import asyncio
import logging
from collections.abc import Callable, Sequence

from dstk_cluster.model import PartitionInfo
from dstk_cluster.port import CoordinatorUnavailable
from dstk_keytypes import NodeId
from dstk_service.clock import Clock
from dstk_service.logs.fields import LogFields
from dstk_storage.domain.replication.map_updater import MapUpdater
from dstk_storage.domain.replication.ports import MapChanger
from dstk_storage.domain.replication.replica import Replica

log = logging.getLogger(__name__)

AT_ONCE = 16
"""Changes of the map under way at one moment. When a node is silent, all partitions that it follows ask for one. If they all
went at once, this node would be too busy to send the heartbeats that keep the others from taking it for dead, too.
"""


class MapChanges:
    """What is written into etcd on behalf of the state machines."""

    def __init__(self, updater: MapUpdater, changer: MapChanger, clock: Clock, flush: Callable[[], None]) -> None:
        self._updater, self._changer, self._clock, self._flush = updater, changer, clock, flush
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def replace(self, old: PartitionInfo, new: PartitionInfo) -> bool:
        """Replaces an entry of the map, when its turn has come; False: it was another one already. Raises
        CoordinatorUnavailable, and may have changed it then.
        """
        async with self._slots:
            return await self._changer.change(old, new)

    async def change(self, replica: Replica, new: PartitionInfo) -> bool:
        """One change by this replica's primary, which goes on with the new epoch; False: it did not happen, or nobody knows
        (R7).
        """
        primary, old = replica.primary, replica.info
        assert primary is not None
        if not self._updater.attempt(primary, new):
            return False
        try:
            if done := await self.replace(old, new):
                done = self._updater.conclude(replica, primary, new, self._clock.monotonic())
            else:
                found = await self._changer.read(old.id)
                self._updater.correct(replica, primary, found, self._clock.monotonic())
        except CoordinatorUnavailable as error:
            log.warning("a change of the map waits for etcd", extra=LogFields(partition=old.id, error=str(error)))
            return False
        finally:
            primary.is_changing = False
            self._flush()
        return done

    async def admit(self, replica: Replica, node: NodeId) -> None:
        """Takes a learner that has everything into the in-sync set."""
        new = self._updater.admission(replica, node)
        if new is not None:
            await self.change(replica, new)

    async def evict(self, replica: Replica, nodes: Sequence[NodeId]) -> None:
        """Takes silent or diverged nodes out of the in-sync set; only then does the primary go on without them."""
        primary = replica.primary
        if primary is None:
            return
        new = self._updater.eviction(replica, nodes)
        if new is not None and (not await self.change(replica, new) or replica.primary is not primary):
            return
        self._updater.evicted(replica, nodes)
        self._flush()

    async def bump_epoch(self, replica: Replica, promised: int) -> None:
        """Goes above an epoch that a follower has promised to a candidate without success."""
        new = self._updater.bumped(replica, promised)
        if new is not None and await self.change(replica, new):
            self._updater.epoch_bumped(replica, new)
            self._flush()
