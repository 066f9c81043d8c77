"""Who is where, by the map that the node knows."""

from collections.abc import Callable

from dstk.v1 import topology_pb2
from dstk_cluster.model import ClusterMap, PartitionInfo
from dstk_cluster.view import ClusterView
from dstk_cluster.wire import partition_to_proto
from dstk_keytypes import NodeId, PartitionId


class Addresses:
    """Where nodes are, or were when they were last seen: one that cannot renew its lease while etcd is gone may well live."""

    def __init__(self) -> None:
        self._known: dict[NodeId, str] = {}

    def learn(self, current: ClusterMap) -> None:
        """Takes over a newer map."""
        self._known |= {node.id: node.address for node in current.nodes.values()}

    def of(self, node: NodeId) -> str | None:
        """host:port; None: it was never seen."""
        return self._known.get(node)


class MapOwners:
    """See servicers.translate.Owners."""

    def __init__(
        self, view: ClusterView, addresses: Addresses, own: Callable[[PartitionId], PartitionInfo | None]
    ) -> None:
        self._view = view
        self._addresses = addresses
        self._own = own

    def owner(self, key: bytes, *, before: bool) -> tuple[topology_pb2.Partition | None, str]:
        """See servicers.translate.Owners."""
        current = self._view.current
        if current is None or not current.partitions:
            return None, ""
        partition = current.partition_below(key or None) if before else current.partition_of(key)
        own = self._own(partition.id)
        if own is not None and own.epoch > partition.epoch and own.range == partition.range:
            partition = own  # a primary knows its own changes before the watch tells of them
        return partition_to_proto(partition), self._addresses.of(partition.primary) or ""
