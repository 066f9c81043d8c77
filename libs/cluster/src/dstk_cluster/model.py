"""The partition map and the nodes, as plain immutable values."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import pairwise
from typing import NamedTuple

from dstk_keytypes import KeyRange, NodeId, PartitionId


class NodeState(StrEnum):
    """The state that a node reports."""

    STARTING = "starting"
    SERVING = "serving"
    LEAVING = "leaving"


@dataclass(frozen=True, slots=True)
class NodeInfo:
    """A storage process that is alive. `incarnation`: different after every start."""

    id: NodeId
    address: str
    zone: str
    state: NodeState
    capacity_bytes: int
    version: str
    incarnation: str


class LogPosition(NamedTuple):
    """A position in a partition's log: the epoch in which the write was made, and its sequence number."""

    epoch: int
    seq: int


@dataclass(frozen=True, slots=True)
class SplitOff:
    """The partition was the upper part of `parent` and shares its log up to the split."""

    parent: PartitionId


@dataclass(frozen=True, slots=True)
class Merged:
    """The partition was merged with its upper neighbour at these positions, by the entry of this epoch."""

    epoch: int
    lower_at: LogPosition
    upper: PartitionId
    upper_at: LogPosition


Origin = SplitOff | Merged
"""How a partition got its current range."""


@dataclass(frozen=True, slots=True)
class PartitionInfo:
    """A key range and its replicas. `epoch` grows with every change of range, primary, replicas or in-sync set."""

    id: PartitionId
    range: KeyRange
    epoch: int
    primary: NodeId
    replicas: tuple[NodeId, ...]
    in_sync: tuple[NodeId, ...]
    origin: Origin | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """The changes of the map in one revision of etcd."""

    revision: int
    partitions: tuple[PartitionInfo, ...] = ()
    removed_partitions: tuple[PartitionId, ...] = ()
    nodes: tuple[NodeInfo, ...] = ()
    removed_nodes: tuple[NodeId, ...] = ()

    @property
    def affects_the_map(self) -> bool:
        """Whether the revision changed the map."""
        return bool(self.partitions or self.removed_partitions or self.nodes or self.removed_nodes)


class MapInvalid(Exception):
    """The partitions leave a gap or overlap."""


@dataclass(frozen=True, slots=True)
class ClusterMap:
    """All partitions and nodes at one revision of etcd.

    Invariant: the partitions are sorted by start and cover the key space without a gap or an overlap. There are none before
    the cluster is bootstrapped.
    """

    revision: int
    cluster: str
    uid: str
    partitions: tuple[PartitionInfo, ...]
    nodes: Mapping[NodeId, NodeInfo]
    _starts: tuple[bytes, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        ordered = tuple(sorted(self.partitions, key=lambda partition: partition.range.start))
        object.__setattr__(self, "partitions", ordered)
        object.__setattr__(self, "_starts", tuple(partition.range.start for partition in ordered))
        check_cover(ordered)

    def partition_of(self, key: bytes) -> PartitionInfo:
        """Returns the partition that contains `key`. Raises IndexError on an empty map."""
        return self.partitions[bisect_right(self._starts, key) - 1]

    def partition_below(self, end: bytes | None) -> PartitionInfo:
        """Returns the partition of the keys just below `end`, or the last one for None. Raises IndexError on an empty map."""
        return self.partitions[-1 if end is None else bisect_left(self._starts, end) - 1]

    def apply(self, change: Change) -> "ClusterMap":
        """Returns the map after the change. Raises MapInvalid if it leaves a gap or an overlap."""
        partitions = {partition.id: partition for partition in self.partitions}
        for partition_id in change.removed_partitions:
            partitions.pop(partition_id, None)
        partitions.update((partition.id, partition) for partition in change.partitions)
        nodes = {key: node for key, node in self.nodes.items() if key not in change.removed_nodes}
        nodes.update((node.id, node) for node in change.nodes)
        return replace(self, revision=change.revision, partitions=tuple(partitions.values()), nodes=nodes)


def check_cover(partitions: Iterable[PartitionInfo]) -> None:
    """Raises MapInvalid unless the sorted partitions cover the key space exactly, or there are none."""
    ordered = tuple(partitions)
    if not ordered:
        return
    if ordered[0].range.start:
        raise MapInvalid(f"no partition holds the keys below {ordered[0].range.start!r}")
    for lower, upper in pairwise(ordered):
        if lower.range.end is None or lower.range.end > upper.range.start:
            raise MapInvalid(f"partitions {lower.id} {lower.range} and {upper.id} {upper.range} overlap")
        if lower.range.end < upper.range.start:
            raise MapInvalid(f"no partition holds the keys from {lower.range.end!r} to {upper.range.start!r}")
    if ordered[-1].range.end is not None:
        raise MapInvalid(f"no partition holds the keys from {ordered[-1].range.end!r} on")
