"""The registry of engines: which engine holds the data of each node.

A node cannot tell from its own disk that the disk is older than it was, or a different one. So etcd keeps the identity of each
node's engine, and a mark that the node wrote into that engine first (domain/proof.py of the storage node).

/dstk/<cluster>/engines/<node>   {"version", "engine", "mark"}
"""

from typing import NamedTuple

from dstk_cluster import records
from dstk_cluster.port import Coordinator, Put, RevisionIs, ValueIs
from dstk_cluster.records import Keys
from dstk_keytypes import NodeId


class KnownEngine(NamedTuple):
    """The engine of a node, and the mark that it must hold: an engine with a lower mark is an older state of it."""

    engine: str
    mark: int


class EngineRegistry:
    """The engines of one cluster. Every method raises CoordinatorUnavailable."""

    def __init__(self, coordinator: Coordinator, cluster: str) -> None:
        self._coordinator = coordinator
        self._keys = Keys(cluster)

    async def read(self, node: NodeId) -> KnownEngine | None:
        """Returns the node's engine; None if none is registered."""
        entry = await self._coordinator.get(self._keys.engine(node))
        if entry is None:
            return None
        known = records.load(entry.value)
        return KnownEngine(str(known["engine"]), int(known["mark"]))

    async def change(self, node: NodeId, old: KnownEngine | None, new: KnownEngine) -> bool:
        """Replaces `old` by `new`. Returns False if `old` was not registered. May have replaced it if it raises."""
        key = self._keys.engine(node)
        compare = RevisionIs(key, 0) if old is None else ValueIs(key, _dump(old))
        return (await self._coordinator.txn([compare], [Put(key, _dump(new))])).succeeded

    async def has_map(self) -> bool:
        """Whether the cluster has a partition map. Until then no node holds data."""
        return await self._coordinator.get(self._keys.map) is not None

    async def is_registered(self, node: NodeId) -> bool:
        """Whether a process is registered as this node. A registration outlives its process by up to a lease."""
        return await self._coordinator.get(self._keys.node(node)) is not None


def _dump(known: KnownEngine) -> bytes:
    return records.dump(engine=known.engine, mark=known.mark)
