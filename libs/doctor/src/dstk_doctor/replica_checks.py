"""Checks of replicas. Pure. A follower is ahead of its primary by the batches in flight, and a learner is behind: a replica
counts as stuck only when two observations a second apart agree.
"""

from collections import Counter
from collections.abc import Iterator

from dstk.v1 import admin_pb2, topology_pb2
from dstk_doctor.engine_checks import is_lost
from dstk_doctor.facts import Facts, Finding, Severity
from dstk_doctor.replication import position, shown

COMES_AND_GOES = 3
"""A replica that leaves the in-sync set this often within COMES_AND_GOES_MS is reported."""
COMES_AND_GOES_MS = 10 * 60 * 1000

Replica = admin_pb2.ReplicaStatus


def positions(facts: Facts) -> Iterator[Finding]:
    """Every replica is at its primary's position, or catches up."""
    for before, entry in facts.lasting():
        main = _pair(facts, entry, entry.primary)
        if main is None or before.primary != entry.primary:
            continue
        for name in entry.replicas:
            other = _pair(facts, entry, name)
            if name != entry.primary and other is not None and _is_whole(other[1]):
                yield from _compared(before, entry, name, main, other)


def _compared(
    before: topology_pb2.Partition,
    entry: topology_pb2.Partition,
    name: str,
    main: tuple[Replica, Replica],
    other: tuple[Replica, Replica],
) -> Iterator[Finding]:
    where, run = f"partition {entry.id} on {name}", f"dstk partitions repair {entry.id}"
    if position(other[0]) > position(main[1]):
        what = f"stood at {shown(position(other[0]))}; its primary has got no further than {shown(position(main[1]))} since"
        yield Finding(Severity.ERROR, "replica_ahead", what, where, run)
    elif position(other[1]) < position(main[0]):
        what = f"stands at {shown(position(other[1]))}; its primary was at {shown(position(main[0]))} a second before"
        if name in before.in_sync and name in entry.in_sync:
            yield Finding(Severity.ERROR, "replica_behind", f"in sync by the map, but {what}", where, run)
        elif position(other[0]) == position(other[1]):
            show = f"dstk partitions show {entry.id}"
            yield Finding(Severity.WARNING, "learner_stuck", f"does not catch up: {what}", where, show)


def epochs(facts: Facts) -> Iterator[Finding]:
    """Every node uses the map's newest entry."""
    for before, entry in facts.lasting():
        for name in entry.replicas:
            replica = facts.second.replica_at.get((entry.id, name))
            if replica is not None and replica.epoch < before.epoch:
                what = f"goes by epoch {replica.epoch} of the map, which is at {entry.epoch}"
                where = f"partition {entry.id} on {name}"
                yield Finding(Severity.ERROR, "epoch_stale", what, where, f"dstk partitions show {entry.id}")


def claims(facts: Facts) -> Iterator[Finding]:
    """Only the map's primary acts as the primary."""
    for replica in facts.second.replicas:
        before = facts.first.replica_at.get((replica.partition_id, replica.node))
        entry = facts.second.by_id.get(replica.partition_id)
        if not replica.primary or before is None or not before.primary or entry is None:
            continue
        if entry.primary != replica.node:
            what = f"holds itself for the primary, which is {entry.primary} by the map"
            where = f"partition {entry.id} on {replica.node}"
            yield Finding(Severity.ERROR, "two_primaries", what, where, f"dstk partitions show {entry.id}")


def presence(facts: Facts) -> Iterator[Finding]:
    """Every replica in the map exists on its node."""
    for before, entry in facts.lasting():
        for name in entry.replicas:
            node, at = facts.node.get(name), (entry.id, name)
            told = name not in facts.first.silent and name not in facts.second.silent
            gone = at not in facts.first.replica_at and at not in facts.second.replica_at
            if node is not None and node.alive and told and gone and name in before.replicas:
                what = "by the map it has a replica, and has none"
                severity = Severity.ERROR if name in entry.in_sync else Severity.WARNING
                show = f"dstk partitions show {entry.id}"
                yield Finding(severity, "replica_missing", what, f"partition {entry.id} on {name}", show)


def quarantine(facts: Facts) -> Iterator[Finding]:
    """No replica is quarantined for a corrupt block."""
    for replica in facts.second.replicas:
        if not replica.quarantined or replica.needs_snapshot:
            continue  # engine_checks reports lost replicas
        number = replica.partition_id
        others = _others_in_sync(facts, replica)
        run = f"dstk partitions repair {number} --apply"
        if replica.primary:
            run = f"dstk partitions transfer {number}; {run}"
        what = "a corrupt block has put it out of service"
        if not others:
            what, run = f"{what}, and no other replica is in sync", f"dstk partitions show {number}"
        yield Finding(Severity.ERROR, "quarantined", what, f"partition {number} on {replica.node}", run)


def rebuilds(facts: Facts) -> Iterator[Finding]:
    """No replica is copied again and again."""
    falls = _falls(facts)
    for replica in facts.second.replicas:
        before = facts.first.replica_at.get((replica.partition_id, replica.node))
        entry = facts.second.by_id.get(replica.partition_id)
        if entry is not None and is_lost(facts, entry):
            continue  # there is no source to copy it from: engine_checks reports that
        if replica.needs_snapshot and before is not None and before.needs_snapshot:
            what = "is being rebuilt; harmless unless it lasts"
            where = f"partition {replica.partition_id} on {replica.node}"
            show = f"dstk partitions show {replica.partition_id}"
            yield Finding(Severity.NOTE, "needs_snapshot", what, where, show)
    for (number, name), count in sorted(falls.items()):
        if count >= COMES_AND_GOES:
            what = f"fell out of the in-sync set {count} times within 10 minutes: is its disk or its network slow?"
            where = f"partition {number} on {name}"
            yield Finding(Severity.ERROR, "comes_and_goes", what, where, "dstk controller events")


def _falls(facts: Facts) -> Counter[tuple[int, str]]:
    """Counts how often each replica left the in-sync set in the 10 minutes before the newest event."""
    newest = max((event.at_ms for event in facts.events), default=0)
    return Counter(
        (event.partition_id, event.subject)
        for event in facts.events
        if event.action == "out_of_sync" and newest - event.at_ms <= COMES_AND_GOES_MS
    )


def _pair(facts: Facts, entry: topology_pb2.Partition, node: str) -> tuple[Replica, Replica] | None:
    first, second = (look.replica_at.get((entry.id, node)) for look in (facts.first, facts.second))
    return None if first is None or second is None else (first, second)


def _is_whole(replica: Replica) -> bool:
    return not replica.needs_snapshot and not replica.quarantined


def _others_in_sync(facts: Facts, replica: Replica) -> list[str]:
    entry = facts.second.by_id.get(replica.partition_id)
    return [] if entry is None else [name for name in entry.in_sync if name != replica.node]
