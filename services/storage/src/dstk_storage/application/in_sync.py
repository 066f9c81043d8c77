"""How the node leaves the in-sync sets of its partitions: to reset its engine, or to stop."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from typing_extensions import override

from dstk_keytypes import PartitionId
from dstk_storage.domain.engine_reset import InSyncSets
from dstk_storage.domain.replication.replicator import Replicator


class ReplicatorInSyncSets(InSyncSets):
    """The in-sync sets of a Replicator's replicas."""

    def __init__(self, replicator: Replicator) -> None:
        self._replicator = replicator

    @override
    async def known(self) -> None:
        await self._replicator.informed_at_all()

    @override
    def sole(self) -> Sequence[PartitionId]:
        me, replicas = self._replicator.around.me, list(self._replicator.replicas.values())
        return [replica.info.id for replica in replicas if replica.info.in_sync == (me,)]

    @override
    @asynccontextmanager
    async def left(self) -> AsyncIterator[bool]:
        self._replicator.retiring = True
        try:
            await self._replicator.planned.leave()
            me = self._replicator.around.me
            yield not any(me in replica.info.in_sync for replica in self._replicator.replicas.values())
        finally:
            self._replicator.retiring = False

    @override
    def restart_empty(self) -> None:
        self._replicator.begin_anew()
