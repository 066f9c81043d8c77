"""Entries of the partition map, and the nodes in it: as the domain has them, and as they travel."""

from collections.abc import Iterable, Sequence

from dstk.v1 import topology_pb2
from dstk_cluster.model import NodeInfo, NodeState, PartitionInfo
from dstk_keytypes import KeyRange, NodeId, PartitionId


def node_info(name: str, zone: str = "", state: NodeState = NodeState.SERVING) -> NodeInfo:
    """Returns a node that is alive."""
    return NodeInfo(NodeId(name), f"{name}:1", zone, state, 1 << 40, "1", "x")


def partition_info(
    number: int,
    replicas: Iterable[str] = ("storage-1",),
    *,
    start: bytes = b"",
    end: bytes | None = None,
    epoch: int = 1,
    in_sync: Iterable[str] = (),
) -> PartitionInfo:
    """Returns a partition whose primary is the first of `replicas`. `in_sync`: by default all replicas."""
    members = tuple(map(NodeId, replicas))
    synced = tuple(map(NodeId, in_sync)) or members
    return PartitionInfo(PartitionId(number), KeyRange(start, end), epoch, members[0], members, synced)


def map_entry(
    number: int,
    start: bytes = b"",
    end: bytes = b"",
    epoch: int = 1,
    primary: str = "storage-1",
    *,
    followers: Sequence[str] = (),
    learners: Sequence[str] = (),
) -> topology_pb2.Partition:
    """Returns a partition on the wire. Followers are in sync, learners are not."""
    in_sync = [primary, *followers]
    return topology_pb2.Partition(
        id=number, start=start, end=end, epoch=epoch, primary=primary, replicas=[*in_sync, *learners], in_sync=in_sync
    )


def map_entry_on(
    number: int, nodes: str, start: bytes = b"", end: bytes = b"", epoch: int = 1, *, prefix: str = ""
) -> topology_pb2.Partition:
    """Returns a partition on nodes of one letter each, the primary first, learners behind a slash: "ab/c"."""
    in_sync, _, others = nodes.partition("/")
    primary, *followers = [prefix + letter for letter in in_sync]
    learners = [prefix + letter for letter in others]
    return map_entry(number, start, end, epoch, primary, followers=followers, learners=learners)
