"""Transfers primaries for balance: to nodes with fewer primaries, then to nodes with fewer operations."""

from collections import Counter
from itertools import permutations
from typing import Final

from dstk_keytypes import NodeId
from dstk_storage.domain.controller.analysis import Analysis, AnalyzedPartition
from dstk_storage.domain.controller.checkers.balance_replicas import HYSTERESIS
from dstk_storage.domain.controller.model import Action, Step
from dstk_storage.domain.controller.plan_builder import PlanBuilder
from dstk_storage.domain.controller.text import partitions

MIN_DIFFERENCE: Final = 2
"""In primaries: with a smaller difference, a transfer would only reverse it."""


def balance_primaries(builder: PlanBuilder) -> None:
    """Repeats the transfer from the node with the most primaries to the one with the fewest that has a replica in sync."""
    while builder.has_capacity(Action.TRANSFER_PRIMARY) and _transfer_for_count(builder):
        pass


def balance_operations(builder: PlanBuilder) -> None:
    """Repeats transfers from busy nodes to quiet ones, but only to a node with fewer primaries: their number stays balanced."""
    while builder.has_capacity(Action.TRANSFER_PRIMARY) and _transfer_for_operations(builder):
        pass


def _transfer_for_count(builder: PlanBuilder) -> bool:
    counts, usable = builder.primaries, builder.analysis.usable
    least = HYSTERESIS * sum(counts[node] for node in usable) / len(usable)
    for source, target in _pairs(builder.analysis, counts):
        difference = counts[source] - counts[target]
        if difference < MIN_DIFFERENCE or difference <= least:
            return False
        ideal = (builder.operations[source] - builder.operations[target]) / 2
        able = _transferable(builder, source, target)
        if able:
            best = min(able, key=lambda each: (abs(each.operations - ideal), each.info.id))
            why = f"balance: {source} is the primary of {partitions(counts[source])} and {target} of {counts[target]}"
            return builder.add(Step(Action.TRANSFER_PRIMARY, best.info.id, why, node=target))
    return False


def _transfer_for_operations(builder: PlanBuilder) -> bool:
    busy, usable = builder.operations, builder.analysis.usable
    mean = sum(busy[node] for node in usable) / len(usable)
    least = HYSTERESIS * max(mean, builder.analysis.settings.split_operations)
    for source, target in _pairs(builder.analysis, busy):
        difference = busy[source] - busy[target]
        if difference <= least:
            return False
        able = [each for each in _transferable(builder, source, target) if least <= 2 * each.operations <= difference]
        if able and builder.primaries[source] > builder.primaries[target]:
            best = max(able, key=lambda each: (each.operations, -each.info.id))
            why = f"balance: {source} serves {busy[source]:,} operations a second and {target} {busy[target]:,}"
            return builder.add(Step(Action.TRANSFER_PRIMARY, best.info.id, why, node=target))
    return False


def _pairs(analysis: Analysis, measure: Counter[NodeId]) -> list[tuple[NodeId, NodeId]]:
    """All pairs of usable nodes, the greatest difference first."""
    pairs = permutations(sorted(analysis.usable), 2)
    return sorted(pairs, key=lambda pair: measure[pair[1]] - measure[pair[0]])


def _transferable(builder: PlanBuilder, source: NodeId, target: NodeId) -> list[AnalyzedPartition]:
    return [each for each in builder.analysis.partitions if _may_transfer(builder, each, source, target)]


def _may_transfer(builder: PlanBuilder, partition: AnalyzedPartition, source: NodeId, target: NodeId) -> bool:
    analysis, info = builder.analysis, partition.info
    return (
        info.primary == source
        and target in info.in_sync
        and builder.is_free(partition)
        and analysis.surplus(partition) is None
        and builder.allows(Action.TRANSFER_PRIMARY, info.id, target)
        and not analysis.history.transferred_recently(info.id)
        and not analysis.history.placement_is_overridden(info.id)
    )
