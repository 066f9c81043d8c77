"""How the node leaves the in-sync sets of its partitions: to reset its engine, or to stop."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from typing_extensions import override

from dstk_keytypes import PartitionId
from dstk_storage.domain.engine_reset import InSyncSets
from dstk_storage.domain.replication.runtime.replication import Replication


class NodeInSyncSets(InSyncSets):
    """The in-sync sets that this node's replicas are in."""

    def __init__(self, replication: Replication) -> None:
        self._machines, self._reactor = replication.machines, replication.reactor
        self._informed, self._reconfigurations = replication.informed, replication.reconfigurations

    @override
    async def known(self) -> None:
        await self._informed.at_all()

    @override
    def sole(self) -> Sequence[PartitionId]:
        me, replicas = self._machines.me, self._machines.replicas.values()
        return [replica.info.id for replica in replicas if replica.info.in_sync == (me,)]

    @override
    @asynccontextmanager
    async def left(self) -> AsyncIterator[bool]:
        self._machines.elections.is_retiring = True
        try:
            await self._reconfigurations.leave()
            me, replicas = self._machines.me, self._machines.replicas.values()
            yield not any(me in replica.info.in_sync for replica in replicas)
        finally:
            self._machines.elections.is_retiring = False
            self._machines.touch_all()

    @override
    def restart_empty(self) -> None:
        self._reactor.restart_empty()
