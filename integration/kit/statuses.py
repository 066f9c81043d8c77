"""Answers of Admin about a cluster in which every node, partition and replica is well, unless fields say otherwise."""

from typing import Any

from dstk.v1 import admin_pb2, topology_pb2
from kit.map_entries import map_entry_on

NOW_MS = 1_700_000_000_000
EPOCH = 5


def entry(
    number: int, replicas: str, start: bytes = b"", end: bytes = b"", epoch: int = EPOCH
) -> topology_pb2.Partition:
    """Returns a partition of the map. `replicas`: numbers of nodes, the primary first, learners behind a slash: "12/3"."""
    return map_entry_on(number, replicas, start, end, epoch, prefix="storage-")


def figures(entry: topology_pb2.Partition, sequence: int = 100) -> admin_pb2.PartitionStatus:
    """Of a partition's primary."""
    return admin_pb2.PartitionStatus(
        partition=entry,
        serving=True,
        known=True,
        sequence=sequence,
        estimated_records=1234,
        estimated_bytes=5 << 20,
        reads=7,
        read_failures=admin_pb2.FailureCounts(client=1, refused=2, server=3),
        followers=[
            admin_pb2.FollowerStatus(node=name, sequence=sequence, silent_s=0.1)
            for name in entry.replicas
            if name != entry.primary
        ],
    )


def replica(entry: topology_pb2.Partition, name: str, **fields: Any) -> admin_pb2.ReplicaStatus:
    """As its own node sees it."""
    values: dict[str, Any] = {
        "partition_id": entry.id,
        "node": name,
        "start": entry.start,
        "end": entry.end,
        "epoch": entry.epoch,
        "position_epoch": entry.epoch,
        "position_sequence": 100,
        "promised": entry.epoch,
        "primary": name == entry.primary,
    }
    return admin_pb2.ReplicaStatus(**{**values, **fields})


def node(name: str, **fields: Any) -> admin_pb2.NodeStatus:
    """One that is well."""
    about = topology_pb2.Node(
        id=name,
        address=f"10.0.0.{name[-1]}:7101",
        state=topology_pb2.NODE_STATE_SERVING,
        capacity_bytes=fields.pop("capacity_bytes", 100 << 30),
        version=fields.pop("version", "0.1.0"),
    )
    values: dict[str, Any] = {
        "node": about,
        "alive": True,
        "free_bytes": 60 << 30,
        "uptime_s": 65,
        "clock_ms": NOW_MS,
        "etcd_reachable": True,
        "desired_state": admin_pb2.DESIRED_STATE_ACTIVE,
        "misrouted_reads": admin_pb2.FailureCounts(refused=12),
    }
    return admin_pb2.NodeStatus(**{**values, **fields})


def gone(name: str, **fields: Any) -> admin_pb2.NodeStatus:
    """One that is not alive."""
    return admin_pb2.NodeStatus(node=topology_pb2.Node(id=name), **fields)
