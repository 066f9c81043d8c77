"""Checks of the partitions in the map and at their primaries. Pure."""

from collections.abc import Iterator
from itertools import pairwise

from dstk.v1 import topology_pb2
from dstk_doctor.engine_checks import is_lost
from dstk_doctor.facts import Facts, Finding, Severity
from dstk_doctor.replication import has_answered, is_short
from dstk_keytypes import Key


def cover(facts: Facts) -> Iterator[Finding]:
    """The map covers every key exactly once."""
    entries = sorted(facts.second.entries, key=lambda entry: entry.start)
    if not entries:
        what = "the map has no partitions: the cluster has not been bootstrapped"
        yield Finding(Severity.ERROR, "map_gap", what, "the whole key space", "dstk nodes")
        return
    if entries[0].start:
        yield _gap(b"", entries[0].start)
    for lower, upper in pairwise(entries):
        if not lower.end or lower.end > upper.start:
            what = f"partitions {lower.id} and {upper.id} both hold the keys from {_key(upper.start)} on"
            where = f"partitions {lower.id}, {upper.id}"
            yield Finding(Severity.ERROR, "map_overlap", what, where, f"dstk partitions show {upper.id}")
        elif lower.end < upper.start:
            yield _gap(lower.end, upper.start)
    if entries[-1].end:
        yield _gap(entries[-1].end, b"")


def _gap(start: bytes, end: bytes) -> Finding:
    what = f"no partition holds the keys from {_key(start) if start else 'the first'} up to {_key(end)}"
    return Finding(Severity.ERROR, "map_gap", what, "the map", "dstk partitions")


def _key(key: bytes) -> str:
    return Key.unchecked(key).display() if key else "the last"


def primaries(facts: Facts) -> Iterator[Finding]:
    """Every partition has a primary that serves."""
    for before, entry in facts.lasting():
        node = facts.node.get(entry.primary)
        if is_lost(facts, entry):
            continue  # engine_checks reports it
        if node is None or not node.alive:
            yield _without_primary(entry, f"its primary {entry.primary} is gone")
        elif not _serves(facts, before) and not _serves(facts, entry):
            yield _without_primary(entry, f"its primary {entry.primary} does not serve it")


def _serves(facts: Facts, entry: topology_pb2.Partition) -> bool:
    look = facts.second if entry is facts.second.by_id.get(entry.id) else facts.first
    status = look.status_of.get(entry.id)
    return status is not None and status.known and status.serving


def _without_primary(entry: topology_pb2.Partition, why: str) -> Finding:
    others = [name for name in entry.in_sync if name != entry.primary]
    run = f"dstk partitions show {entry.id}"
    if not others:
        why += ", and no other replica is in sync: start that node again"
        run = f"dstk partitions repair {entry.id} --force-primary NODE"
    return Finding(Severity.ERROR, "no_primary", why, f"partition {entry.id}", run)


def replication(facts: Facts) -> Iterator[Finding]:
    """Every partition has as many replicas in sync as it should."""
    for before, entry in facts.lasting():
        if not (is_short(before, facts.wanted) and is_short(entry, facts.wanted)):
            continue
        aim = max(facts.wanted, len(entry.replicas))
        learners = [name for name in entry.replicas if name not in entry.in_sync]
        on_its_way = f"; not in sync: {', '.join(learners)}" if learners else ""
        what = f"{len(entry.in_sync)} of {aim} replicas are in sync{on_its_way}"
        severity = Severity.ERROR if len(entry.in_sync) <= 1 else Severity.WARNING
        run = f"dstk partitions show {entry.id}" if learners else "dstk controller plan"
        yield Finding(severity, "under_replicated", what, f"partition {entry.id}", run)


def living_replicas(facts: Facts) -> Iterator[Finding]:
    """No in-sync replica is on a node that does not answer. Both observations count: the map may evict it in between."""
    for before, entry in facts.lasting():
        for name in entry.in_sync:
            node = facts.node.get(name)
            if name == entry.primary or name not in before.in_sync or (node is not None and has_answered(node)):
                continue
            what = f"{name} is in the in-sync set and does not answer: writes wait for it"
            yield Finding(
                Severity.ERROR, "in_sync_silent", what, f"partition {entry.id}", f"dstk partitions show {entry.id}"
            )
