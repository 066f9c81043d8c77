"""The statistics of a node and of the partitions that it leads, as far as they have changed since an earlier update."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple

from dstk_keytypes import PartitionId
from dstk_service.clock import Clock
from dstk_storage.application.changes import Answer, Changes
from dstk_storage.application.failure_counters import FailureCounters
from dstk_storage.application.partition_statistics import (
    PartitionStatistics,
    SampledKeys,
    SilentSince,
    statistics_of,
)
from dstk_storage.application.replica_survey import in_chunks
from dstk_storage.domain.replication.replica import Replica

CHUNK: Final = 500
"""Replicas between two pauses: 3 ms where this node leads them all."""

_NEVER_SEEN = 0


class NodeFigures(NamedTuple):
    """The node's own. `free` and `capacity`: bytes of the data directory's file system."""

    free: int
    capacity: int
    read_only: bool


@dataclass(frozen=True, slots=True)
class Update:
    """What has changed since version `since` (0: everything), when it was taken, and the node's own figures."""

    answer: Answer[PartitionStatistics]
    since: int
    taken_at_ms: int
    uptime: float
    node: NodeFigures


class NodeStatistics:
    """Answers servicers.statistics.StatisticsApi. `node` reads the node's own figures."""

    def __init__(
        self,
        replicas: Mapping[PartitionId, Replica],
        silent_since: SilentSince,
        failures: FailureCounters,
        node: Callable[[], NodeFigures],
        clock: Clock,
    ) -> None:
        self._replicas, self._silent_since, self._failures = replicas, silent_since, failures
        self._node, self._clock, self._started = node, clock, clock.monotonic()
        self._changes, self._keys = Changes[PartitionStatistics](), SampledKeys()
        self._taken = 0, 0.0
        """When the newest look began: Unix ms, monotonic seconds."""

    async def since(self, session: str, version: int) -> Update:
        """Everything that has changed since this version of this session, or all there is."""
        answer = await self._changes.since(session, version, self._look)
        taken_at_ms, moment = self._taken
        since = _NEVER_SEEN if answer.complete else version
        return Update(answer, since, taken_at_ms, moment - self._started, self._node())

    def sampled_keys(self, partition: PartitionId, update: Update) -> list[bytes]:
        """Keys of recent operations that are new in an update."""
        return self._keys.between(partition, update.since, update.answer.version)

    async def pause(self) -> None:
        """Lets the event loop do something else."""
        await self._clock.sleep(0)

    async def _look(self, version: int) -> AsyncIterator[Iterable[tuple[PartitionId, PartitionStatistics]]]:
        self._taken = self._clock.now_ms(), self._clock.monotonic()
        read = partial(self._read, version)
        async for chunk in in_chunks(list(self._replicas.values()), self.pause, CHUNK):
            yield filter(None, map(read, chunk))
        self._keys.forget_unseen(version)

    def _read(self, version: int, replica: Replica) -> tuple[PartitionId, PartitionStatistics] | None:
        partition, primary = replica.info.id, replica.primary
        self._keys.note(partition, replica.partition.activity, version)
        if primary is None:
            return None
        now_ms, now = self._taken
        return partition, statistics_of(replica, primary, self._failures, self._silent_since, now, now_ms)
