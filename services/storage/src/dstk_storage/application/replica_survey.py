"""A look at all replicas of a node: sums, and the partitions that it leads.

It reads plain attributes rather than ReplicaViews, and pauses now and then: a node may have 100,000 replicas.
"""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from dstk_keytypes import NodeId, PartitionId
from dstk_storage.domain.partition import Partition
from dstk_storage.domain.replication.primary import Primary
from dstk_storage.domain.replication.replica import Replica

CHUNK = 2000
"""Replicas between two pauses: 2 to 3 ms."""

Pause = Callable[[], Awaitable[None]]
"""Lets the event loop do something else."""

T = TypeVar("T")


@dataclass(slots=True)
class ReplicaSurvey:
    """What was found. Primaries, followers and learners are so by the partition map. `lag_*`: by follower, of all partitions
    that are led here.
    """

    primaries: int = 0
    followers: int = 0
    learners: int = 0
    """Replicas that are not in the in-sync set."""
    not_serving: int = 0
    """Of those that the map gives to this node to lead."""
    under_replicated: int = 0
    """Of those that this node leads."""
    quarantined: int = 0
    garbage: int = 0
    """Bytes."""
    lag_entries: Counter[NodeId] = field(default_factory=Counter)
    lag_seconds: dict[NodeId, float] = field(default_factory=dict)
    led: list[Partition] = field(default_factory=list)


async def survey(replicas: Mapping[PartitionId, Replica], now: float, wanted: int, pause: Pause) -> ReplicaSurvey:
    """Looks at all replicas. `now`: monotonic seconds; `wanted`: how many in sync a partition should have at least."""
    found = ReplicaSurvey()
    async for chunk in in_chunks(list(replicas.values()), pause):
        look(found, chunk, now, wanted)
    return found


async def in_chunks(items: Sequence[T], pause: Pause, size: int = 0) -> AsyncIterator[Sequence[T]]:
    """All of them, so many at a time (0: CHUNK), with a pause in between."""
    size = size or CHUNK
    for at in range(0, len(items), size):
        if at:
            await pause()
        yield items[at : at + size]


def look(found: ReplicaSurvey, replicas: Iterable[Replica], now: float, wanted: int) -> None:
    """Adds what these replicas show to `found`."""
    for replica in replicas:
        info, partition, primary = replica.info, replica.partition, replica.primary
        found.quarantined += partition.quarantined
        found.garbage += partition.garbage
        if info.primary != replica.me:
            _count_other(found, replica)
        elif serves(partition, primary, now):
            found.primaries += 1
        else:
            found.primaries += 1
            found.not_serving += 1
        if primary is not None:
            in_sync = len(info.in_sync)
            found.under_replicated += in_sync < wanted or in_sync < len(info.replicas)
            found.led.append(partition)
            tail = replica.log.tail
            for node, progress in primary.followers.items():
                if progress.acked != tail:
                    _note_lag(found, replica, primary, node, now)


def _count_other(found: ReplicaSurvey, replica: Replica) -> None:
    if replica.me in replica.info.in_sync:
        found.followers += 1
    else:
        found.learners += 1


def serves(partition: Partition, primary: Primary | None, now: float) -> bool:
    """Whether the node serves the partition as its primary."""
    return primary is not None and primary.is_serving and partition.lease.end > now and not partition.quarantined


def _note_lag(found: ReplicaSurvey, replica: Replica, primary: Primary, node: NodeId, now: float) -> None:
    progress = primary.followers[node]
    if not progress.is_known:
        return
    found.lag_entries[node] += max(0, replica.log.tail.seq - progress.acked.seq)
    if (since := primary.waiting_since(progress)) is not None:
        found.lag_seconds[node] = max(now - since, found.lag_seconds.get(node, 0.0))
