"""What must hold at every moment of a schedule, not only at its end: most mistakes are written over before that."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Sequence

from dstk_cluster.mapstore import MapStore
from dstk_keytypes import NodeId, PartitionId
from dstk_storage.domain import layout
from dstk_storage.domain.history import START
from dstk_storage.domain.replication.replica import Replica
from simulation.cluster import SimCluster
from simulation.node import SimNode

EVERY_SECONDS = 0.05


class InvariantChecker:
    """Looks at all nodes at once, which no node can."""

    def __init__(self, cluster: SimCluster) -> None:
        self._cluster = cluster
        self._told: dict[tuple[str, PartitionId], None] = {}

    async def watch(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            await self.look()

    async def look(self) -> None:
        """Once."""
        current = await MapStore(self._cluster.etcd, "sim").load()
        in_sync = {info.id: info.in_sync for info in current.partitions}
        replicas = defaultdict[PartitionId, list[tuple[SimNode, Replica]]](list)
        for node, replica in self._replicas():
            replicas[replica.info.id].append((node, replica))
        for number, held in replicas.items():
            self._check_equal(number, held)
            self._check_whole(number, held, in_sync.get(number, ()))

    def _replicas(self) -> Iterator[tuple[SimNode, Replica]]:
        for node in self._cluster.nodes.values():
            for replica in node.replication.replicas.values() if node.replication is not None else ():
                yield node, replica

    def _check_equal(self, number: PartitionId, held: list[tuple[SimNode, Replica]]) -> None:
        """Replicas that stand at one position of one history hold the same records."""
        alike = defaultdict[object, list[SimNode]](list)
        for node, replica in held:
            metadata = [node.engine.get(key(number)) for key in (layout.position_key, layout.history_key)]
            unwritten = None in metadata and replica.partition.log.position != START  # it has just been split off
            copied = replica.needs_snapshot or node.engine.get(layout.snapshot_key(number)) is not None
            if not (unwritten or copied):
                alike[(replica.range, *metadata)].append(node)
        ranges = {node.me: replica.range for node, replica in held}
        for first, *others in alike.values():
            bounds = layout.data_bounds(ranges[first.me])
            for other in others:
                if _records(first, bounds) != _records(other, bounds):
                    self._tell("differs", number, f"between {first.me} and {other.me}, which stand at one position")

    def _check_whole(self, number: PartitionId, held: list[tuple[SimNode, Replica]], in_sync: Sequence[NodeId]) -> None:
        """Who is in sync, by the map as etcd has it, is no half copy, unless its disk was lost and others do not know yet."""
        for node, replica in held:
            if not replica.needs_snapshot:
                node.forgiven.discard(number)
            elif node.me in in_sync and number not in node.forgiven:
                self._tell("is in sync", number, f"on {node.me}, which holds no whole one")

    def _tell(self, what: str, number: PartitionId, where: str) -> None:
        if (what, number) not in self._told:
            self._told[what, number] = None
            now = asyncio.get_running_loop().time()
            self._cluster.run.divergences.append(f"{now:.3f} partition {number} {what} {where}")


def _records(node: SimNode, bounds: tuple[bytes, bytes]) -> list[tuple[bytes, bytes]]:
    with node.engine.iterate(*bounds) as pairs:
        return list(pairs)
