"""When things go wrong, and how they are mended: chosen at random, from the seed."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence

from dstk_keytypes import NodeId
from simulation.cluster import NODES, SimCluster
from simulation.node import DISK_BYTES, DISK_SECONDS

Fault = Callable[["Nemesis"], Awaitable[None]]


class Nemesis:
    """Breaks one thing after the other, of `faults` (fault_catalogue.py), and mends everything in the end."""

    def __init__(self, cluster: SimCluster, faults: "Sequence[Fault]") -> None:
        self.cluster, self._faults = cluster, faults
        self.rng = random.Random(cluster.rng.random())
        self.hands = self.rng.choice([1, 2, 2])

    async def torment(self, until: float) -> None:
        """Faults until then, one or two at a time."""
        await asyncio.gather(*(self._torment(until) for _ in range(self.hands)))
        self.mend()

    async def _torment(self, until: float) -> None:
        loop = asyncio.get_running_loop()
        while loop.time() < until:
            await asyncio.sleep(self.rng.expovariate(1 / 0.6))
            fault = self.rng.choice(self._faults)
            self.note(fault.__name__)
            await fault(self)

    def mend(self) -> None:
        """Everything runs and is connected."""
        network = self.cluster.network
        network.heal()
        network.loss = network.slow = 0.0
        self.cluster.etcd.unreachable = False
        for node in self.cluster.nodes.values():
            node.engine.failing = False
            node.disk.free = DISK_BYTES
            node.disk_seconds, node.hangs_until = DISK_SECONDS, 0.0
            node.start_again()
        self.note("mended")

    def note(self, what: str) -> None:
        """For the report."""
        self.cluster.run.faults.append(f"{asyncio.get_running_loop().time():.3f} {what}")

    def leaders(self) -> dict[int, NodeId]:
        """Who holds itself for the primary of each partition; of several any."""
        nodes = [node for node in self.cluster.nodes.values() if node.replication is not None]
        return {
            number: node.me
            for node in nodes
            for number, replica in node.replication.replicas.items()
            if replica.primary is not None
        }

    def some(self) -> NodeId:
        """A node."""
        return NodeId(self.rng.choice(NODES))
