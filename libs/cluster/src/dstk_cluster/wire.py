"""The map as protobuf, for clients."""

from dstk.v1 import topology_pb2
from dstk_cluster.model import ClusterMap, NodeInfo, NodeState, PartitionInfo

_STATES = {
    NodeState.STARTING: topology_pb2.NODE_STATE_STARTING,
    NodeState.SERVING: topology_pb2.NODE_STATE_SERVING,
    NodeState.LEAVING: topology_pb2.NODE_STATE_LEAVING,
}


def partition_to_proto(partition: PartitionInfo) -> topology_pb2.Partition:
    """One partition."""
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
    """One node."""
    return topology_pb2.Node(
        id=node.id,
        address=node.address,
        zone=node.zone,
        state=_STATES[node.state],
        capacity_bytes=node.capacity_bytes,
        version=node.version,
    )


def full_update(current: ClusterMap) -> topology_pb2.TopologyUpdate:
    """The whole map."""
    return topology_pb2.TopologyUpdate(
        revision=current.revision,
        full=True,
        cluster=current.cluster,
        partitions=map(partition_to_proto, current.partitions),
        nodes=map(node_to_proto, current.nodes.values()),
        cluster_uid=current.uid,
    )


def difference(old: ClusterMap, new: ClusterMap) -> topology_pb2.TopologyUpdate:
    """What leads from one map to a later one."""
    before = {partition.id: partition for partition in old.partitions}
    after = {partition.id: partition for partition in new.partitions}
    return topology_pb2.TopologyUpdate(
        revision=new.revision,
        partitions=[partition_to_proto(p) for p in new.partitions if before.get(p.id) != p],
        removed_partitions=[number for number in before if number not in after],
        nodes=[node_to_proto(node) for node in new.nodes.values() if old.nodes.get(node.id) != node],
        removed_nodes=[node_id for node_id in old.nodes if node_id not in new.nodes],
    )
