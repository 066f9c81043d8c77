"""The observer that turns a storage node's events into metrics."""

from collections.abc import Callable, Mapping
from typing import Any

from typing_extensions import override

from dstk_keytypes import NodeId
from dstk_service.observe import Event, Observer
from dstk_storage.domain.events import (
    CorruptionFound,
    ElectionLost,
    ElectionWon,
    EngineReplaced,
    EpochBumped,
    GroupCommitted,
    MapChange,
    MapChanged,
    RangeCompacted,
    RecordsExpired,
    ReplicaAdmitted,
    ReplicaEvicted,
    ReplicaOutvoted,
    ReplicasDiffer,
    SnapshotEnded,
    StepEnded,
    WriteFailed,
)
from dstk_telemetry.metrics.instruments import Instruments
from dstk_telemetry.registry import commit, engine, partitions, replication

Handler = Callable[[Any], None]


class NodeMetrics(Observer):
    """Counts and times what happens on a node."""

    def __init__(self, instruments: Instruments, me: NodeId) -> None:
        self._handlers: Mapping[type[Event], Handler] = {
            **_commits(instruments),
            **_replication(instruments, me),
            **_engine(instruments),
            **_controller(instruments),
        }

    @override
    def observe(self, event: Event) -> None:
        if (handler := self._handlers.get(type(event))) is not None:
            handler(event)


def _commits(made: Instruments) -> Mapping[type[Event], Handler]:
    wait, write = made.histogram(commit.COMMIT_WAIT), made.histogram(commit.COMMIT_WRITE)
    batches, failures = made.histogram(commit.COMMIT_BATCHES), made.counter(commit.COMMIT_FAILURES)
    records, size = made.counter(commit.COMMIT_RECORDS), made.counter(commit.COMMIT_BYTES)

    def committed(event: GroupCommitted) -> None:
        wait.observe(event.wait_seconds)
        write.observe(event.write_seconds)
        batches.observe(event.batches)
        records.inc(event.records)
        size.inc(event.bytes)

    return {GroupCommitted: committed, WriteFailed: lambda _: failures.inc()}


def _replication(made: Instruments, me: NodeId) -> Mapping[type[Event], Handler]:
    won, lost = (made.counter(replication.ELECTIONS, end) for end in ("won", "lost"))
    failovers, bumps = made.counter(replication.FAILOVERS), made.counter(replication.EPOCH_BUMPS)
    admitted, evicted, outvoted = (
        made.counter(replication.IN_SYNC_CHANGES, change) for change in ("admitted", "evicted", "outvoted")
    )
    changes = {change: made.counter(replication.MAP_CHANGES, change) for change in MapChange}
    differing = made.counter(replication.DIFFERING)

    def elected(event: ElectionWon) -> None:
        won.inc()
        if event.previous != me:
            failovers.inc()

    return {
        ElectionWon: elected,
        ElectionLost: lambda _: lost.inc(),
        EpochBumped: lambda _: bumps.inc(),
        ReplicaAdmitted: lambda _: admitted.inc(),
        ReplicaEvicted: lambda _: evicted.inc(),
        ReplicaOutvoted: lambda _: outvoted.inc(),
        ReplicasDiffer: lambda _: differing.inc(),
        MapChanged: lambda event: changes[event.change].inc(),
        **_snapshots(made),
    }


def _snapshots(made: Instruments) -> Mapping[type[Event], Handler]:
    installed, given_up = (made.counter(replication.SNAPSHOTS, end) for end in ("installed", "given_up"))
    seconds, size = made.histogram(replication.SNAPSHOT_SECONDS), made.counter(replication.SNAPSHOT_BYTES)

    def ended(event: SnapshotEnded) -> None:
        (given_up if event.failure else installed).inc()
        seconds.observe(event.seconds)
        size.inc(event.bytes)

    return {SnapshotEnded: ended}


def _engine(made: Instruments) -> Mapping[type[Event], Handler]:
    corruptions, replacements = made.counter(engine.CORRUPTIONS), made.counter(engine.REPLACEMENTS)
    reclaimed, seconds = made.counter(engine.RECLAIMED), made.histogram(engine.RECLAIM_SECONDS)
    expired, behind = made.counter(engine.EXPIRED), made.gauge(engine.EXPIRY_BEHIND)

    def compacted(event: RangeCompacted) -> None:
        reclaimed.inc(max(0, event.bytes_before - event.bytes_after))
        seconds.observe(event.seconds)

    def swept(event: RecordsExpired) -> None:
        expired.inc(event.removed)
        behind.set(event.more)

    return {
        CorruptionFound: lambda _: corruptions.inc(),
        EngineReplaced: lambda _: replacements.inc(),
        RangeCompacted: compacted,
        RecordsExpired: swept,
    }


def _controller(made: Instruments) -> Mapping[type[Event], Handler]:
    ended = {
        (action, failed): made.counter(partitions.ACTIONS, action, "failed" if failed else "done")
        for action in partitions.ACTION.values
        for failed in (True, False)
    }
    return {StepEnded: lambda event: ended[event.action, event.failed].inc()}
