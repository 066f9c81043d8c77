"""The background comparison: each primary compares its partitions' replicas from time to time, one at a time and slowly.

When a comparison ended, and how, is kept on disk by the node that made it, so that a restart puts nothing off and begins
nothing early. Another node that becomes the primary does not know it, and compares the partition within an hour, at a random
moment; that costs no more than the bound on bytes a second allows, and spares a message for each partition and comparison.

What differs is decided on at the end (verdicts.py), for a replica that a snapshot has replaced is no witness any more; so once
a stretch differs, the rest of the partition is compared without pauses. Replicas that differ from what a majority holds are
taken out of the in-sync set and rebuilt. If the primary is one of them, it hands over to one that agrees, in the transaction by
which it leaves the in-sync set, and answers as one that needs a snapshot. Without a majority nothing is changed.
"""

import logging
import random
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from dstk_cluster.port import CoordinatorUnavailable
from dstk_keytypes import KeyRange, NodeId, PartitionId
from dstk_service.logs.fields import LogFields
from dstk_service.observe import Observer
from dstk_storage.domain.compared import Compared, Outcome
from dstk_storage.domain.errors import NotPrimary, PreconditionFailed, StorageError
from dstk_storage.domain.events import ReplicaOutvoted, ReplicasDiffer
from dstk_storage.domain.partition import Partition
from dstk_storage.domain.replication.replica import Replica
from dstk_storage.domain.replication.roster import Replicas
from dstk_storage.domain.replication.runtime.comparison import Comparing, Comparison, Difference
from dstk_storage.domain.replication.runtime.distrust import Distrust
from dstk_storage.domain.replication.verdicts import Verdict, judge
from dstk_storage.ports import EngineError

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
FIRST_SECONDS = 3600.0
"""Within which a partition is compared of which this node knows no comparison."""

AGAIN_SHARE = 20
"""A comparison that could not be made, or after which something is to be done, is made again after one of so many parts of the
interval.
"""
INCOMPLETE_SHARE = 4
"""Likewise for one in which not every replica took part."""


_SHARES = {Outcome.EQUAL: 1, Outcome.INCOMPLETE: INCOMPLETE_SHARE}


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a partition is compared, in seconds (0: never), and how many bytes of it a second."""

    interval: float
    bytes_per_second: float


class Compares(Protocol):
    """This node's data."""

    def weigh(self, key_range: KeyRange) -> int:
        """Bytes on disk of a range, roughly."""

    def note_compared(self, partition: Partition) -> None:
        """Has it written what the last comparison of the partition has found."""


Transfer = Callable[[PartitionId, NodeId], Awaitable[object]]
"""Gives a partition to another replica. Raises NotPrimary, PreconditionFailed, CoordinatorUnavailable."""


@dataclass(slots=True)
class Running:
    """The comparison under way: how many bytes of about how many it has compared."""

    partition: PartitionId
    total: int
    comparison: Comparison

    @property
    def progress(self) -> float:
        """0..1."""
        return min(1.0, self.comparison.bytes / self.total) if self.total else 0.0


class Comparer:
    """The loop of one node. `pace` is asked again and again: the setting is the cluster's."""

    def __init__(
        self,
        comparing: Comparing,
        replicas: Replicas,
        store: Compares,
        distrust: Distrust,
        transfer: Transfer,
        observer: Observer,
        pace: Callable[[], Pace],
        rng: random.Random,
    ) -> None:
        self._comparing, self._replicas, self._store = comparing, replicas, store
        self._distrust, self._transfer, self._observer = distrust, transfer, observer
        self._pace, self._rng, self._clock = pace, rng, comparing.clock
        self._due: dict[PartitionId, tuple[int, float]] = {}
        """By partition: by which epoch it was won, and when it is to be compared, on the monotonic clock."""
        self.running: Running | None = None

    async def run(self) -> None:
        """Compares what is due until cancelled."""
        while True:
            pace = self._pace()
            replica = self._most_overdue(pace) if pace.interval else None
            if replica is not None:
                await self._guarded(replica)
            await self._clock.sleep(min(LOOK_SECONDS, pace.interval / AGAIN_SHARE) if pace.interval else LOOK_SECONDS)

    def note(self, number: PartitionId, compared: Compared) -> None:
        """What a comparison has found; written to disk."""
        replica = self._replicas.get(number)
        if replica is not None:
            replica.partition.compared = compared
            self._store.note_compared(replica.partition)

    def found_equal(self, number: PartitionId, records: int, missing: Iterable[NodeId]) -> None:
        """An operator has had the replicas compared, but for those on `missing`, and nothing differs."""
        nodes = tuple(sorted(missing))
        outcome = Outcome.INCOMPLETE if nodes else Outcome.EQUAL
        self.note(number, Compared(self._clock.now_ms(), outcome, records, nodes))

    def expect(self, number: PartitionId) -> None:
        """An operator has replicas rebuilt: they are compared again soon, and what was known does not count any more."""
        replica = self._replicas.get(number)
        if replica is not None and replica.primary is not None:
            replica.partition.compared = None
            self._put_off(replica, self._pace())

    def _most_overdue(self, pace: Pace) -> Replica | None:
        now = self._clock.monotonic()
        led = [r for r in self._replicas.values() if r.primary is not None and r.primary.is_serving]
        several = [replica for replica in led if len(replica.info.in_sync) > 1]
        due = [(when, replica) for replica in several if (when := self._when(replica, pace)) <= now]
        return min(due, key=lambda each: each[0], default=(0.0, None))[1]

    def _when(self, replica: Replica, pace: Pace) -> float:
        """When it is due. A wall clock that was set back, or a shorter interval, makes it due earlier, never later."""
        assert replica.primary is not None
        won, when = self._due.get(replica.info.id, (0, 0.0))
        if won == replica.primary.won:
            return when if when <= self._clock.monotonic() + pace.interval else self._set(replica, pace.interval)
        compared, ago = replica.partition.compared, -1.0
        if compared is not None and compared.outcome is Outcome.EQUAL:
            ago = (self._clock.now_ms() - compared.at_ms) / 1000
        left = pace.interval - ago if ago >= 0 else self._rng.uniform(0, min(pace.interval, FIRST_SECONDS))
        return self._set(replica, max(0.0, left))

    def _set(self, replica: Replica, seconds: float) -> float:
        assert replica.primary is not None
        when = self._clock.monotonic() + seconds
        self._due[replica.info.id] = replica.primary.won, when
        return when

    def _put_off(self, replica: Replica, pace: Pace) -> None:
        if replica.primary is not None:
            self._set(replica, pace.interval / AGAIN_SHARE)

    async def _guarded(self, replica: Replica) -> None:
        number, pace = replica.info.id, self._pace()
        self._put_off(replica, pace)
        try:
            await self._compare(replica, pace)
        except (StorageError, EngineError, CoordinatorUnavailable) as error:
            log.info("a comparison is put off", extra=LogFields(partition=number, error=str(error)))
        finally:
            self.running = None

    async def _compare(self, replica: Replica, pace: Pace) -> None:
        number = replica.info.id
        comparison = Comparison(self._comparing, number)
        self.running = Running(number, self._store.weigh(replica.range), comparison)

        async def pause(size: int) -> None:
            if not comparison.differences:
                await self._clock.sleep(size / self._pace().bytes_per_second)

        await comparison.run(pause)
        outcome, nodes = await self._decide(replica, comparison)
        extra = LogFields(action="compare", partition=number, comparison=outcome, records=comparison.records)
        log.info("compared", extra=extra)
        self.note(number, Compared(self._clock.now_ms(), outcome, comparison.records, tuple(sorted(nodes))))
        if replica.primary is not None and outcome in _SHARES:
            self._set(replica, pace.interval / _SHARES[outcome])

    async def _decide(self, replica: Replica, comparison: Comparison) -> tuple[Outcome, Iterable[NodeId]]:
        """What follows from a comparison, done."""
        seen = [
            {
                node: (held.digest, held.records, held.position)
                for node, held in each.held.items()
                if comparison.stands(node)
            }
            for each in comparison.differences
        ]
        seen = [held for held in seen if len(set(held.values())) > 1]
        if not seen:
            return (Outcome.INCOMPLETE if comparison.missing else Outcome.EQUAL), comparison.missing
        verdict = judge(seen, len(replica.info.replicas))
        if not verdict.good:
            self._tell_undecided(replica, comparison.differences, verdict)
            return Outcome.UNDECIDED, verdict.odd
        await self._quarantine(replica, verdict)
        return Outcome.QUARANTINED, verdict.odd

    def _tell_undecided(self, replica: Replica, differences: Iterable[Difference], verdict: Verdict) -> None:
        before, number, nodes = replica.partition.compared, replica.info.id, tuple(sorted(verdict.odd))
        parts = [str(each.part) for each in differences]
        extra = LogFields(action="differs", partition=number, nodes=nodes, count=len(parts), key_ranges=parts[:5])
        log.error("replicas differ, and no majority agrees", extra=extra)
        if before is None or before.outcome is not Outcome.UNDECIDED:
            self._observer.observe(ReplicasDiffer(number, nodes, len(parts)))

    async def _quarantine(self, replica: Replica, verdict: Verdict) -> None:
        """Rebuilds the replicas that differ from the majority, from one that does not."""
        me, number = replica.me, replica.info.id
        for node in sorted(verdict.odd):
            self._observer.observe(ReplicaOutvoted(number, node))
        if me in verdict.odd:
            await self._resign(replica, min(verdict.good))
            return
        for node in verdict.odd:
            await self._distrust(replica, node)

    async def _resign(self, replica: Replica, heir: NodeId) -> None:
        """The heir finds out by itself about others that are odd."""
        replica.is_suspect = True
        try:
            await self._transfer(replica.info.id, heir)
        except (NotPrimary, PreconditionFailed):
            replica.is_suspect = False  # nothing was done
            raise
