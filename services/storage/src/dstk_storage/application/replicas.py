"""What the application layer reads of a node's replicas. This module alone knows how replication keeps them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from typing_extensions import override

from dstk_cluster.model import PartitionInfo
from dstk_keytypes import NodeId, PartitionId
from dstk_storage.domain.partition import Partition
from dstk_storage.domain.replication.replica import Primary, Replica
from dstk_storage.domain.replication.replicator import Replicator


@dataclass(frozen=True, slots=True)
class FollowerView:
    """A follower as its primary knows it."""

    sequence: int
    """The last entry that it has acknowledged; 0: not known yet."""
    silent_since: float
    """When it last answered, or became required. Monotonic seconds."""
    rebuilding: bool


@dataclass(frozen=True, slots=True)
class Leadership:
    """What a replica has while it is the primary."""

    epoch: int
    serving: bool
    lease_until: float
    """Monotonic seconds."""
    followers: Mapping[NodeId, FollowerView]


@dataclass(frozen=True, slots=True)
class ReplicaView:
    """One replica of this node at this moment."""

    info: PartitionInfo
    """The newest map entry that this node knows."""
    partition: Partition
    promised: int
    claimed: int
    """The highest epoch that another node's heartbeat has claimed."""
    rebuilding: bool
    leadership: Leadership | None
    """None: it is a follower."""


class Replicas(Protocol):
    """The replicas of this node."""

    def all(self) -> Sequence[ReplicaView]:
        """Every replica, by partition id."""

    def get(self, partition: PartitionId) -> ReplicaView | None:
        """The replica of a partition; None: this node has none."""

    def led(self, partition: PartitionId) -> ReplicaView:
        """The replica of a partition that this node is the primary of. Raises NotPrimary."""

    def newest(self, partition: PartitionId) -> PartitionInfo | None:
        """The newest map entry of a replica of this node; None: it has none."""


class ReplicatorReplicas(Replicas):
    """The replicas that a Replicator keeps."""

    def __init__(self, replicator: Replicator) -> None:
        self._replicator = replicator

    @override
    def all(self) -> Sequence[ReplicaView]:
        return [_view(replica) for _, replica in sorted(self._replicator.replicas.items())]

    @override
    def get(self, partition: PartitionId) -> ReplicaView | None:
        replica = self._replicator.replicas.get(partition)
        return None if replica is None else _view(replica)

    @override
    def led(self, partition: PartitionId) -> ReplicaView:
        return _view(self._replicator.planned.primary_of(partition))

    @override
    def newest(self, partition: PartitionId) -> PartitionInfo | None:
        return self._replicator.newest(partition)


def _view(replica: Replica) -> ReplicaView:
    primary = replica.primary
    leadership = None if primary is None else _leadership(primary)
    return ReplicaView(
        replica.info, replica.partition, replica.promised, replica.claimed, replica.rebuilding, leadership
    )


def _leadership(primary: Primary) -> Leadership:
    followers = {
        node: FollowerView(each.acked.seq if each.known else 0, each.silent_since(), each.copying)
        for node, each in primary.followers.items()
    }
    return Leadership(primary.epoch, primary.serving, primary.lease, followers)
