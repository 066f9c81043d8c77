"""The map as protobuf messages, for clients."""

from collections.abc import Iterable, Iterator

from dstk.v1 import topology_pb2
from dstk_cluster.model import ClusterMap, NodeInfo, NodeState, PartitionInfo

_STATES = {
    NodeState.STARTING: topology_pb2.NODE_STATE_STARTING,
    NodeState.SERVING: topology_pb2.NODE_STATE_SERVING,
    NodeState.LEAVING: topology_pb2.NODE_STATE_LEAVING,
}

MESSAGE_BYTES = 1 << 20
"""Bytes of partitions in one message. 100,000 partitions with keys of 20 bytes and three replicas have 13 MB."""


def partition_to_proto(partition: PartitionInfo) -> topology_pb2.Partition:
    """Encodes a partition."""
    return topology_pb2.Partition(
        id=partition.id,
        start=partition.range.start,
        end=partition.range.end or b"",
        epoch=partition.epoch,
        primary=partition.primary,
        replicas=partition.replicas,
        in_sync=partition.in_sync,
    )


def node_to_proto(node: NodeInfo) -> topology_pb2.Node:
    """Encodes a node."""
    return topology_pb2.Node(
        id=node.id,
        address=node.address,
        zone=node.zone,
        state=_STATES[node.state],
        capacity_bytes=node.capacity_bytes,
        version=node.version,
    )


Update = tuple[topology_pb2.TopologyUpdate, Iterable[PartitionInfo]]
"""An update without its partitions, and the partitions: encoding very many of them takes long."""


def full(current: ClusterMap) -> Update:
    """Returns the whole map as an update."""
    update = topology_pb2.TopologyUpdate(
        revision=current.revision,
        full=True,
        cluster=current.cluster,
        nodes=map(node_to_proto, current.nodes.values()),
        cluster_uid=current.uid,
    )
    return update, current.partitions


def difference(old: ClusterMap, new: ClusterMap) -> Update:
    """Returns the update from one map to a later one."""
    before = {partition.id: partition for partition in old.partitions}
    after = {partition.id for partition in new.partitions}
    update = topology_pb2.TopologyUpdate(
        revision=new.revision,
        removed_partitions=[number for number in before if number not in after],
        nodes=[node_to_proto(node) for node in new.nodes.values() if old.nodes.get(node.id) != node],
        removed_nodes=[node_id for node_id in old.nodes if node_id not in new.nodes],
    )
    return update, [partition for partition in new.partitions if before.get(partition.id) != partition]


def whole(update: Update) -> topology_pb2.TopologyUpdate:
    """Encodes an update as one message of any size."""
    message, partitions = update
    message.partitions.extend(map(partition_to_proto, partitions))
    return message


def messages(update: Update) -> Iterator[topology_pb2.TopologyUpdate]:
    """Encodes an update as messages of limited size; see `more` in topology.proto. Each is made when it is requested."""
    message, partitions = update
    size = 0
    for partition in map(partition_to_proto, partitions):
        if size >= MESSAGE_BYTES:
            message.more = True
            yield message
            message, size = topology_pb2.TopologyUpdate(revision=message.revision), 0
        message.partitions.append(partition)
        size += partition.ByteSize()
    yield message
