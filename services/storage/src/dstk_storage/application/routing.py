"""Where nodes are, and which node a caller must turn to, by the map that this node knows."""

from collections.abc import Callable

from dstk.v1 import topology_pb2
from dstk_cluster.model import ClusterMap, PartitionInfo
from dstk_cluster.view import ClusterView
from dstk_cluster.wire import partition_to_proto
from dstk_keytypes import NodeId, PartitionId


class AddressBook:
    """The last known address of each node. One that cannot renew its lease while etcd is gone stays listed: it may be alive."""

    def __init__(self) -> None:
        self._known: dict[NodeId, str] = {}

    def learn(self, current: ClusterMap) -> None:
        """Adopts the addresses of a newer map."""
        self._known |= {node.id: node.address for node in current.nodes.values()}

    def of(self, node: NodeId) -> str | None:
        """host:port; None: the node was never seen."""
        return self._known.get(node)


class MapOwners:
    """Answers servicers.translate.Owners. `own`: the newest map entry of a replica of this node."""

    def __init__(
        self, view: ClusterView, addresses: AddressBook, own: Callable[[PartitionId], PartitionInfo | None]
    ) -> None:
        self._view, self._addresses, self._own = view, addresses, own

    def owner(self, key: bytes, *, before: bool) -> tuple[topology_pb2.Partition | None, str]:
        """(partition, address of its primary) of a key, or of the keys just below it; (None, "") when unknown."""
        current = self._view.current
        if current is None or not current.partitions:
            return None, ""
        partition = current.partition_below(key or None) if before else current.partition_of(key)
        own = self._own(partition.id)
        if own is not None and own.epoch > partition.epoch and own.range == partition.range:
            partition = own  # a primary knows its own changes before the watch reports them
        return partition_to_proto(partition), self._addresses.of(partition.primary) or ""
