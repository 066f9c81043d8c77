"""The statistics of one partition as a plain value, and keys of its recent operations."""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from dstk_keytypes import KeyRange, NodeId, PartitionId
from dstk_service.outcomes import OutcomeClass
from dstk_storage.application.failure_counters import FailureCounters, FailuresByClass
from dstk_storage.application.replica_survey import serves
from dstk_storage.domain.activity import RECENT, Activity, trimmed
from dstk_storage.domain.estimate import Size
from dstk_storage.domain.replication.primary import Primary
from dstk_storage.domain.replication.progress import Progress
from dstk_storage.domain.replication.replica import Replica

SilentSince = Callable[[Replica, NodeId, Progress], float]
"""When a follower last answered, or became required. Monotonic seconds."""


class Failures(NamedTuple):
    """Failed operations by the class of their outcome."""

    client: int
    refused: int
    server: int


class FollowerStatistics(NamedTuple):
    """A replica as its primary sees it. `lag_seconds`: for how long the oldest write that it lacks has waited."""

    node: NodeId
    in_sync: bool
    lag_entries: int
    lag_seconds: float


class Counters(NamedTuple):
    """What callers have done (domain/activity.py)."""

    reads: int
    writes: int
    scanned: int
    read_bytes: int
    written_bytes: int
    read_failures: Failures
    write_failures: Failures
    read_latency: tuple[int, ...]
    write_latency: tuple[int, ...]
    queue_wait: float
    batches: int
    busy: float


class PartitionStatistics(NamedTuple):
    """A partition that this node is the primary of. `sequence`: of its last committed write."""

    range: KeyRange
    epoch: int
    serving: bool
    sequence: int
    counters: Counters
    counted: bool
    """Whether `size` rests on a count of this process."""
    size: Size
    followers: tuple[FollowerStatistics, ...]


def statistics_of(
    replica: Replica, primary: Primary, failures: FailureCounters, silent_since: SilentSince, now: float, now_ms: int
) -> PartitionStatistics:
    """The statistics of a partition that this node leads. `now`: monotonic seconds; `now_ms`: Unix ms."""
    info, partition = replica.info, replica.partition
    counted = failures.reads(info.id), failures.writes(info.id)
    return PartitionStatistics(
        info.range,
        info.epoch,
        serves(partition, primary, now),
        partition.log.history.last,
        _counters(partition.activity, *counted),
        partition.estimate.counted,
        partition.estimate.size(now_ms),
        tuple(_followers(replica, primary, silent_since, now)),
    )


def _counters(activity: Activity, read_failures: FailuresByClass, write_failures: FailuresByClass) -> Counters:
    return Counters(
        activity.reads,
        activity.writes,
        activity.scanned,
        activity.read_bytes,
        activity.written_bytes,
        _failures(read_failures),
        _failures(write_failures),
        trimmed(activity.read_latency),
        trimmed(activity.write_latency),
        activity.queue_wait,
        activity.batches,
        activity.busy,
    )


_NONE = Failures(0, 0, 0)


def _failures(counts: FailuresByClass) -> Failures:
    if not counts:
        return _NONE
    return Failures(counts[OutcomeClass.CLIENT], counts[OutcomeClass.REFUSED], counts[OutcomeClass.SERVER])


def _followers(
    replica: Replica, primary: Primary, silent_since: SilentSince, now: float
) -> Iterator[FollowerStatistics]:
    tail = replica.log.tail
    for node, progress in primary.followers.items():
        in_sync = node in replica.info.in_sync
        if progress.acked == tail:
            yield FollowerStatistics(node, in_sync, 0, 0.0)
            continue
        entries = max(0, tail.seq - progress.acked.seq) if progress.is_known else 0
        since = primary.waiting_since(progress) if in_sync else silent_since(replica, node, progress)
        yield FollowerStatistics(node, in_sync, entries, 0.0 if since is None else max(0.0, now - since))


@dataclass(slots=True)
class _Noted:
    """Keys of a partition, each with the version in which it was first seen. `sampled`: of `activity`, in version `seen`."""

    activity: Activity
    sampled: int = 0
    seen: int = 0
    keys: "deque[tuple[int, bytes]]" = field(default_factory=lambda: deque(maxlen=RECENT))


class SampledKeys:
    """Says which keys of recent operations are new since a version. It keeps nothing for each caller."""

    def __init__(self) -> None:
        self._noted: dict[PartitionId, _Noted] = {}

    def note(self, partition: PartitionId, activity: Activity, version: int) -> None:
        """Takes the keys that were sampled since the last look."""
        noted = self._noted.get(partition)
        if noted is None or noted.activity is not activity:
            if not activity.sampled:
                return
            noted = self._noted[partition] = _Noted(activity)
        noted.seen = version
        new = min(activity.sampled - noted.sampled, len(activity.recent))
        if new:
            noted.keys.extend((version, key) for key in list(activity.recent)[-new:])
            noted.sampled = activity.sampled

    def between(self, partition: PartitionId, since: int, version: int) -> list[bytes]:
        """The keys that were first seen after version `since`, up to `version`."""
        noted = self._noted.get(partition)
        return [] if noted is None else [key for at, key in noted.keys if since < at <= version]

    def forget_unseen(self, version: int) -> None:
        """This node holds no replica of those that the look for this version has not met."""
        self._noted = {partition: noted for partition, noted in self._noted.items() if noted.seen == version}
