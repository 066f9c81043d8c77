"""Facts about replicas and nodes, computed from the map and from their status. Pure."""

from collections.abc import Iterable

from dstk.v1 import admin_pb2, topology_pb2

Position = tuple[int, int]
"""Epoch and sequence number of the last write."""

_LEAVING = {admin_pb2.DESIRED_STATE_DRAINED, admin_pb2.DESIRED_STATE_REMOVED}


def position(replica: admin_pb2.ReplicaStatus) -> Position:
    """Returns the position of a replica."""
    return replica.position_epoch, replica.position_sequence


def shown(where: Position) -> str:
    """Formats a position."""
    return f"{where[0]}:{where[1]:,}"


def wanted(settings: admin_pb2.ControllerSettings | None, nodes: Iterable[admin_pb2.NodeStatus]) -> int:
    """Returns how many replicas in sync a partition should have; 0 if the settings are unknown.

    Known nodes that are not alive count: their replicas are missing.
    """
    able = sum(node.desired_state not in _LEAVING for node in nodes)
    return 0 if settings is None else min(settings.replicas, able)


def has_answered(node: admin_pb2.NodeStatus) -> bool:
    """Whether the figures are the node's own. A node that is alive may not have answered."""
    return node.alive and (node.free_bytes > 0 or node.uptime_s > 0 or node.clock_ms > 0)


def is_short(entry: topology_pb2.Partition, wanted_: int) -> bool:
    """Whether a partition has fewer replicas in sync than it should have, or than it has replicas."""
    return len(entry.in_sync) < max(wanted_, len(entry.replicas))


def in_order(entry: topology_pb2.Partition) -> list[str]:
    """Returns the nodes of a partition: the primary, those in sync, the others."""
    others = [name for name in entry.in_sync if name != entry.primary]
    behind = [name for name in entry.replicas if name not in entry.in_sync and name != entry.primary]
    return [entry.primary, *others, *behind]


def held_by(entries: Iterable[topology_pb2.Partition], node: str) -> list[topology_pb2.Partition]:
    """Returns the partitions that have a replica on a node by the map."""
    return [entry for entry in entries if node in entry.replicas or entry.primary == node]


def only_on(entries: Iterable[topology_pb2.Partition], node: str) -> list[topology_pb2.Partition]:
    """Returns the partitions whose in-sync set is the given node alone."""
    return [entry for entry in entries if set(entry.in_sync) == {node}]
