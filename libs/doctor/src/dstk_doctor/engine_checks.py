"""Checks of data at rest: engines that were replaced, and partitions without a whole replica. Pure."""

import shlex
from collections.abc import Iterator, Sequence

from dstk.v1 import admin_pb2, topology_pb2
from dstk_doctor.facts import Facts, Finding, Severity, named
from dstk_doctor.replication import has_answered, held_by
from dstk_service import figures


def replaced(facts: Facts) -> Iterator[Finding]:
    """Every node has its original engine, or has recovered its data, and no old engine files remain."""
    for status in filter(has_answered, facts.nodes):
        name, engine = status.node.id, status.engine
        copying = [entry.id for entry in held_by(facts.second.entries, name) if name not in entry.in_sync]
        if engine.replaced_reason and (copying or _lost_by(facts, name)):
            what = f"started with an empty engine on {figures.timestamp(engine.made_at_ms)}: {engine.replaced_reason}"
            what += f"; {named(copying)} still to be copied" if copying else ""
            what += f"; what it had is kept in {', '.join(engine.kept)}" if engine.kept else ""
            yield Finding(Severity.WARNING, "engine_replaced", what, name, "dstk partitions")
        elif engine.kept:
            what = f"keeps what was damaged ({engine.replaced_reason or 'of an earlier engine'}), and has been copied since"
            yield Finding(Severity.NOTE, "engine_kept", what, name, shlex.join(["rm", "-r", *engine.kept]))


def lost(facts: Facts) -> Iterator[Finding]:
    """Every partition has a whole in-sync replica, or one that may return."""
    for _, entry in facts.lasting():
        if not is_lost(facts, entry):
            continue
        what = f"no replica in sync is whole: {', '.join(entry.in_sync)} lost what it held, and nobody serves it"
        if kept := [f"{name}:{path}" for name in entry.in_sync if name in facts.node for path in _kept(facts, name)]:
            what += f"; kept: {', '.join(kept)}"
        whole = [name for name in entry.replicas if name not in entry.in_sync and _is_whole(facts, entry, name)]
        run = (
            f"dstk partitions repair {entry.id} --force-primary {whole[0]}"
            if whole
            else f"dstk partitions show {entry.id}"
        )
        yield Finding(Severity.ERROR, "lost", what, f"partition {entry.id}", run)


def is_lost(facts: Facts, entry: topology_pb2.Partition) -> bool:
    """Whether no in-sync replica is whole; other findings about such a partition say nothing more."""
    return bool(entry.in_sync) and all(_is_lost(facts, entry, name) for name in entry.in_sync)


def _lost_by(facts: Facts, name: str) -> bool:
    return any(_is_lost(facts, entry, name) for entry in held_by(facts.second.entries, name))


def _is_lost(facts: Facts, entry: topology_pb2.Partition, name: str) -> bool:
    return all(
        replica is not None and replica.needs_snapshot and name in entry.in_sync
        for replica in _looks(facts, entry, name)
    )


def _is_whole(facts: Facts, entry: topology_pb2.Partition, name: str) -> bool:
    return all(
        replica is not None and not replica.needs_snapshot and not replica.quarantined
        for replica in _looks(facts, entry, name)
    )


def _looks(facts: Facts, entry: topology_pb2.Partition, name: str) -> Sequence[admin_pb2.ReplicaStatus | None]:
    return [look.replica_at.get((entry.id, name)) for look in (facts.first, facts.second)]


def _kept(facts: Facts, name: str) -> Sequence[str]:
    return facts.node[name].engine.kept
