"""Waiting for the map."""

import asyncio

from dstk_keytypes import PartitionId
from dstk_service.clock import Clock
from dstk_storage.domain.replication.replica import Replica
from dstk_storage.domain.replication.roster import Replicas


class Informed:
    """Tells when this node has been given a map, and which one."""

    def __init__(self, replicas: Replicas, clock: Clock) -> None:
        self._replicas, self._clock = replicas, clock
        self._mapped = asyncio.Event()
        self._has_map = False

    def note(self) -> None:
        """A newer map has been adopted."""
        self._has_map = True
        mapped, self._mapped = self._mapped, asyncio.Event()
        mapped.set()

    async def at_all(self) -> None:
        """Returns when this node has been given a map."""
        if not self._has_map:
            await self._mapped.wait()

    async def of(self, partition: PartitionId, epoch: int, within: float) -> Replica | None:
        """The replica, as soon as the map is known in which its entry has this epoch; None: not in so many seconds."""
        try:
            async with self._clock.timeout(within):
                while (replica := self._replicas.get(partition)) is None or replica.info.epoch < epoch:
                    await self._mapped.wait()
        except TimeoutError:
            return None
        return replica
