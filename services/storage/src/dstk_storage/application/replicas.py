"""What the application layer reads of a node's replicas. This module alone knows how replication keeps them."""

from collections.abc import AsyncIterator, Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from typing_extensions import override

from dstk_cluster.model import PartitionInfo
from dstk_keytypes import NodeId, PartitionId
from dstk_storage.application.loads import LoadFigures
from dstk_storage.application.replica_survey import Pause, in_chunks
from dstk_storage.domain.partition import Partition
from dstk_storage.domain.replication.primary import Primary
from dstk_storage.domain.replication.progress import FollowerState, Progress
from dstk_storage.domain.replication.reconfiguration import led
from dstk_storage.domain.replication.replica import Replica

Load = tuple[PartitionId, LoadFigures]


@dataclass(frozen=True, slots=True)
class FollowerView:
    """A follower as its primary knows it."""

    sequence: int
    """The last entry that it has acknowledged; 0: not known yet."""
    silent_since: float
    """When it last answered, or became required. Monotonic seconds."""
    needs_snapshot: bool


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
    needs_snapshot: bool
    leadership: Leadership | None
    """None: it is a follower."""


class Replicas(Protocol):
    """The replicas of this node."""

    def all(self) -> Sequence[ReplicaView]:
        """Every replica, by partition id."""

    def leading(self) -> Sequence[ReplicaView]:
        """Those that are primaries, by start of range."""

    def loads(self, now: float, alive: Container[NodeId], pause: Pause) -> AsyncIterator[Iterable[Load]]:
        """The loads of those that are primaries, in chunks, in no order. `now`: monotonic seconds; `alive`: living nodes."""

    def count(self) -> tuple[int, int]:
        """How many replicas there are, and how many of them are primaries."""

    def get(self, partition: PartitionId) -> ReplicaView | None:
        """The replica of a partition; None: this node has none."""

    def led(self, partition: PartitionId) -> ReplicaView:
        """The replica of a partition that this node is the primary of. Raises NotPrimary."""

    def newest(self, partition: PartitionId) -> PartitionInfo | None:
        """The newest map entry of a replica of this node; None: it has none."""


SILENT_SECONDS: Final = 1.0
"""The controller hears of a follower that is silent for longer: the least that `gone_seconds` can be."""

SilentSince = Callable[[Replica, NodeId, Progress], float]
"""When a follower last answered, or became required."""


class NodeReplicas(Replicas):
    """The replicas that replication keeps on this node."""

    def __init__(self, replicas: Mapping[PartitionId, Replica], silent_since: SilentSince) -> None:
        self._replicas, self._silent_since = replicas, silent_since

    @override
    def all(self) -> Sequence[ReplicaView]:
        return [self._view(replica) for _, replica in sorted(self._replicas.items())]

    @override
    def leading(self) -> Sequence[ReplicaView]:
        led = [replica for replica in self._replicas.values() if replica.primary is not None]
        return [self._view(replica) for replica in sorted(led, key=lambda replica: replica.range.start)]

    @override
    async def loads(self, now: float, alive: Container[NodeId], pause: Pause) -> AsyncIterator[Iterable[Load]]:
        async for chunk in in_chunks(list(self._replicas.values()), pause):
            yield (
                (replica.info.id, self._load(replica, replica.primary, now, alive))
                for replica in chunk
                if replica.primary is not None
            )

    @override
    def count(self) -> tuple[int, int]:
        return len(self._replicas), sum(replica.primary is not None for replica in self._replicas.values())

    @override
    def get(self, partition: PartitionId) -> ReplicaView | None:
        replica = self._replicas.get(partition)
        return None if replica is None else self._view(replica)

    @override
    def led(self, partition: PartitionId) -> ReplicaView:
        return self._view(led(self._replicas, partition)[0])

    @override
    def newest(self, partition: PartitionId) -> PartitionInfo | None:
        replica = self._replicas.get(partition)
        return None if replica is None else replica.info

    def _load(self, replica: Replica, primary: Primary, now: float, alive: Container[NodeId]) -> LoadFigures:
        info, estimate, activity = replica.info, replica.partition.estimate, replica.partition.activity
        in_sync = len(info.in_sync) == len(info.replicas)
        return LoadFigures(
            info.range,
            round(estimate.bytes),
            round(estimate.records),
            activity.reads + activity.writes,
            () if in_sync else tuple(self._silent(replica, primary, now, alive)),
        )

    def _silent(
        self, replica: Replica, primary: Primary, now: float, alive: Container[NodeId]
    ) -> Iterator[tuple[NodeId, float]]:
        for node, progress in primary.followers.items():
            seconds = now - self._silent_since(replica, node, progress)
            if node in alive and node not in replica.info.in_sync and seconds >= SILENT_SECONDS:
                yield node, seconds

    def _view(self, replica: Replica) -> ReplicaView:
        primary = replica.primary
        leadership = None if primary is None else self._leadership(replica, primary)
        state = replica.promised, replica.claimed, replica.needs_snapshot
        return ReplicaView(replica.info, replica.partition, *state, leadership)

    def _leadership(self, replica: Replica, primary: Primary) -> Leadership:
        followers = {
            node: FollowerView(
                each.acked.seq if each.is_known else 0,
                self._silent_since(replica, node, each),
                each.state is FollowerState.SNAPSHOT,
            )
            for node, each in primary.followers.items()
        }
        return Leadership(primary.epoch, primary.is_serving, replica.partition.lease.end, followers)
