"""An operator that changes the map while the nemesis breaks things: transfer, split, merge, move, planned restart."""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from typing import Any

from dstk_cluster.mapstore import MapStore
from dstk_cluster.model import PartitionInfo
from dstk_cluster.port import CoordinatorUnavailable
from dstk_keytypes import InvalidInput, NodeId
from dstk_storage.domain.errors import NotPrimary, PreconditionFailed
from dstk_storage.domain.replication.runtime.reconfigurations import Reconfigurations
from simulation.cluster import FEWEST_REPLICAS, KEYS, SimCluster
from simulation.network import Lost

NAME = "operator"
MOST_PARTITIONS = 6


class Operator:
    """Asks for one change after the other; what cannot be done is asked for no more."""

    def __init__(self, cluster: SimCluster) -> None:
        self._cluster = cluster
        self._rng = random.Random(cluster.rng.random())
        self.done = 0

    async def work(self, until: float) -> None:
        """Changes until then."""
        loop = asyncio.get_running_loop()
        while loop.time() < until:
            await asyncio.sleep(self._rng.expovariate(1 / 0.25))
            change = self._rng.choice([self._switch, self._split, self._merge, self._move, self._restart])
            try:
                await change(await self._partitions())
            except (Lost, NotPrimary, PreconditionFailed, InvalidInput, CoordinatorUnavailable):
                continue
            self.done += 1
            self._cluster.run.faults.append(f"{loop.time():.3f} {change.__name__[1:]}")

    async def _partitions(self) -> list[PartitionInfo]:
        return list((await MapStore(self._cluster.etcd, "sim").load()).partitions)

    async def _ask(self, node: NodeId, change: Callable[[Reconfigurations], Awaitable[Any]]) -> None:
        nodes = self._cluster.nodes
        await self._cluster.network.call(
            NAME, node, lambda: nodes[node].serve(lambda home: change(home.reconfigurations))
        )

    async def _switch(self, partitions: list[PartitionInfo]) -> None:
        info = self._rng.choice(partitions)
        target = self._rng.choice([None, *info.in_sync])
        await self._ask(info.primary, lambda changes: changes.transfer(info.id, target))

    async def _split(self, partitions: list[PartitionInfo]) -> None:
        info = self._rng.choice(partitions)
        inside = [key for key in KEYS if info.range.contains(key) and key != info.range.start]
        if inside and len(partitions) < MOST_PARTITIONS:
            at = self._rng.choice(inside)
            await self._ask(info.primary, lambda changes: changes.split(info.id, at))

    async def _merge(self, partitions: list[PartitionInfo]) -> None:
        ordered = sorted(partitions, key=lambda info: info.range.start)
        if len(ordered) < 2:
            return
        at = self._rng.randrange(len(ordered) - 1)
        lower, upper = ordered[at], ordered[at + 1]
        if upper.primary != lower.primary:
            await self._ask(upper.primary, lambda changes: changes.transfer(upper.id, lower.primary))
            await asyncio.sleep(0.3)
        await self._ask(lower.primary, lambda changes: changes.merge(lower.id, upper.id))

    async def _move(self, partitions: list[PartitionInfo]) -> None:
        info = self._rng.choice(partitions)
        missing = [node for node in self._cluster.nodes if node not in info.replicas]
        if missing:
            newcomer = self._rng.choice(missing)
            await self._ask(info.primary, lambda changes: changes.add_replica(info.id, newcomer))
            await asyncio.sleep(self._rng.uniform(0, 1.5))
        spare = [node for node in info.replicas if node != info.primary]
        if spare and len(info.replicas) + bool(missing) > FEWEST_REPLICAS:
            leaver = self._rng.choice(spare)
            await self._ask(info.primary, lambda changes: changes.remove_replica(info.id, leaver))

    async def _restart(self, partitions: list[PartitionInfo]) -> None:
        del partitions
        node = self._rng.choice(list(self._cluster.nodes.values()))
        if not node.lives:
            return
        with contextlib.suppress(Lost):  # it ends all the same
            await self._cluster.network.call(NAME, node.me, lambda: node.ask(lambda _: node.drain()))
        node.crash()
        await asyncio.sleep(self._rng.choice([0.01, 0.3]))
        node.start_again()
