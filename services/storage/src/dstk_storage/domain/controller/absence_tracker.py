"""Tracks for how long nodes have been missing."""

from typing import Final

from dstk_cluster.model import ClusterMap
from dstk_keytypes import NodeId

FORGOTTEN_SECONDS: Final = 86_400.0
"""A node that is missing for this long and holds no replica by the map is forgotten."""


class AbsenceTracker:
    """Knows the nodes that were alive once, and those that hold a replica by the map. Times are monotonic, in seconds."""

    def __init__(self) -> None:
        self._seen: set[NodeId] = set()
        self._missing: dict[NodeId, float] = {}
        self._map: ClusterMap | None = None
        self._placed: frozenset[NodeId] = frozenset()

    def update(self, current: ClusterMap, now: float) -> None:
        """Records which of the known nodes are alive."""
        if current is not self._map:
            self._map = current
            self._placed = frozenset(node for partition in current.partitions for node in partition.replicas)
        placed = self._placed
        self._seen |= set(current.nodes)
        for node in (self._seen | placed) - set(current.nodes):
            since = self._missing.setdefault(node, now)
            if now - since > FORGOTTEN_SECONDS and node not in placed:
                self._seen.discard(node)
        known = (self._seen | placed) - set(current.nodes)
        self._missing = {node: since for node, since in self._missing.items() if node in known}

    def gone(self, now: float) -> dict[NodeId, float]:
        """Returns for how many seconds each missing node has been missing."""
        return {node: now - since for node, since in self._missing.items()}
