"""Moves replicas for balance: to zones without one, then from full nodes to empty ones."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from dstk_keytypes import NodeId
from dstk_storage.domain.controller.analysis import AnalyzedPartition
from dstk_storage.domain.controller.model import Action, Step
from dstk_storage.domain.controller.plan_builder import PlanBuilder
from dstk_storage.domain.controller.text import size

HYSTERESIS: Final = 0.1
"""Differences below this share of the mean are ignored."""


@dataclass(frozen=True, slots=True)
class Move:
    """A possible move of a replica from one node to another."""

    partition: AnalyzedPartition
    source: NodeId
    target: NodeId


def balance_zones(builder: PlanBuilder) -> None:
    """Moves replicas of partitions with two replicas in one zone to a zone that has none and a usable node."""
    analysis = builder.analysis
    if len({analysis.zone(node) for node in analysis.usable}) == 1:
        return
    for partition in analysis.partitions:
        if not builder.has_capacity(Action.ADD_REPLICA):
            return
        move = _zone_move(builder, partition)
        if move is not None:
            source, target = analysis.zone(move.source), analysis.zone(move.target)
            _move(builder, move, f"zone {source!r} has two replicas and zone {target!r} has none")


def _zone_move(builder: PlanBuilder, partition: AnalyzedPartition) -> Move | None:
    """The move from the fullest node of a zone with two replicas to the emptiest node of a zone without one."""
    analysis, info = builder.analysis, partition.info
    zones = Counter(analysis.zone(node) for node in partition.staying)
    sources = [node for node in partition.staying if zones[analysis.zone(node)] > 1 and node in analysis.usable]
    targets = [node for node in analysis.usable if analysis.zone(node) not in zones]
    allowed = [node for node in targets if builder.allows(Action.ADD_REPLICA, info.id, node)]
    if not sources or not allowed or not _may_move(builder, partition):
        return None
    source = min(sources, key=lambda n: (n == info.primary, -builder.stored[n], n))
    return Move(partition, source, min(allowed, key=lambda n: (builder.stored[n], n)))


def balance_bytes(builder: PlanBuilder) -> None:
    """Repeats the move that most reduces the difference between the fullest and the emptiest node."""
    while builder.has_capacity(Action.ADD_REPLICA):
        move = next(_byte_moves(builder), None)
        if move is None:
            return
        full, empty = builder.stored[move.source], builder.stored[move.target]
        _move(builder, move, f"{move.source} holds {size(full)} and {move.target} holds {size(empty)}")


def _byte_moves(builder: PlanBuilder) -> Iterator[Move]:
    usable, stored = builder.analysis.usable, builder.stored
    least = HYSTERESIS * sum(stored[node] for node in usable) / len(usable)
    movable = [partition for partition in builder.analysis.partitions if _may_move(builder, partition)]
    held = {node: [partition for partition in movable if node in partition.staying] for node in usable}
    for source in sorted(usable, key=lambda n: (-stored[n], n)):
        for target in sorted(usable, key=lambda n: (stored[n], n)):
            difference = stored[source] - stored[target]
            if difference <= least:
                break
            fitting = [each for each in held[source] if _fits(builder, Move(each, source, target), difference)]
            if fitting:
                best = min(fitting, key=lambda each: (each.info.primary == source, -each.weight, each.info.id))
                yield Move(best, source, target)


def _fits(builder: PlanBuilder, move: Move, difference: float) -> bool:
    """Whether the move does not overshoot, and does not reduce the number of zones with a replica."""
    analysis, partition = builder.analysis, move.partition
    if move.target in partition.info.replicas or 2 * partition.weight > difference:
        return False
    before = {analysis.zone(node) for node in partition.staying}
    after = {analysis.zone(n) for n in (*partition.staying, move.target) if n != move.source}
    return len(after) >= len(before) and builder.allows(Action.ADD_REPLICA, partition.info.id, move.target)


def _may_move(builder: PlanBuilder, partition: AnalyzedPartition) -> bool:
    history, number = builder.analysis.history, partition.info.id
    settled = partition.whole and len(partition.staying) <= builder.analysis.settings.replicas
    kept = history.placement_is_overridden(number) or history.moved_recently(number)
    return settled and not kept and builder.is_free(partition)


def _move(builder: PlanBuilder, move: Move, why: str) -> None:
    reason = f"balance: {why}; {size(move.partition.weight)} move to {move.target}"
    number = move.partition.info.id
    builder.add(Step(Action.ADD_REPLICA, number, reason, node=move.target, replaces=move.source))
