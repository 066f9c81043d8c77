"""Merges the answers of several nodes into one. Pure."""

from collections.abc import Iterable, Mapping

from dstk.v1 import admin_pb2, topology_pb2

Answers = Mapping[str, admin_pb2.ListNodesResponse | None]


def names_in(entries: Iterable[topology_pb2.Partition]) -> set[str]:
    """The nodes that the map gives replicas to."""
    return {name for entry in entries for name in (entry.primary, *entry.replicas)} - {""}


def partitions(
    entries: Iterable[topology_pb2.Partition], answers: Mapping[str, admin_pb2.ListPartitionsResponse | None]
) -> list[admin_pb2.PartitionStatus]:
    """One row for each entry, in order: the primary's own, or the map's if the primary did not answer.

    If two nodes both claim to be the primary, the one with the higher epoch wins.
    """
    told: dict[int, admin_pb2.PartitionStatus] = {}
    for answer in answers.values():
        for status in answer.partitions if answer is not None else ():
            other = told.get(status.partition.id)
            if other is None or other.partition.epoch < status.partition.epoch:
                told[status.partition.id] = status
    return [told.get(entry.id) or admin_pb2.PartitionStatus(partition=entry) for entry in entries]


def nodes(
    living: Mapping[str, topology_pb2.Node], known: Iterable[str], answers: Answers
) -> list[admin_pb2.NodeStatus]:
    """By id: each node's own words; else that it is alive but did not answer; else that it is known and not alive.

    `known`: nodes that the map names. Nodes that only a desired state names are in the nodes' responses.
    """
    rows = {name: admin_pb2.NodeStatus(node=topology_pb2.Node(id=name)) for name in known}
    told = [(name, status) for name, answer in answers.items() if answer is not None for status in answer.nodes]
    rows |= {status.node.id: status for name, status in told if status.node.id != name}
    rows |= {name: admin_pb2.NodeStatus(node=node, alive=True) for name, node in living.items()}
    rows |= {name: status for name, status in told if status.node.id == name}
    return [rows[name] for name in sorted(rows)]


def replicas(answers: Mapping[str, admin_pb2.ListReplicasResponse | None]) -> list[admin_pb2.ReplicaStatus]:
    """All replicas, ordered by partition, then by node."""
    told = (status for answer in answers.values() if answer is not None for status in answer.replicas)
    return sorted(told, key=lambda status: (status.partition_id, status.node))


def silent(answers: Mapping[str, object | None]) -> list[str]:
    """The nodes that did not answer."""
    return [name for name, answer in answers.items() if answer is None]
