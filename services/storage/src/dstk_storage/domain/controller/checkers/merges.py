"""Merges neighbours that are small and quiet. See `splits` for why merges and splits never alternate."""

from itertools import pairwise

from dstk_storage.domain.controller.analysis import AnalyzedPartition
from dstk_storage.domain.controller.model import Action, Load, Step
from dstk_storage.domain.controller.plan_builder import PlanBuilder
from dstk_storage.domain.controller.text import size


def check_merges(builder: PlanBuilder) -> None:
    """Merges neighbours in key order. At least as many partitions remain as there are usable nodes."""
    for lower, upper in pairwise(builder.analysis.partitions):
        spare = builder.partitions > max(1, len(builder.analysis.usable))
        if not spare or not builder.has_capacity(Action.MERGE):
            return
        reason = _too_small(builder, lower.load, upper.load)
        if reason and _may_merge(builder, lower, upper):
            at = upper.info.range.start
            builder.add(Step(Action.MERGE, lower.info.id, reason, at=at, upper=upper.info.id))


def _too_small(builder: PlanBuilder, lower: Load | None, upper: Load | None) -> str:
    settings = builder.analysis.settings
    if lower is None or upper is None or lower.peak is None or upper.peak is None:
        return ""
    held, busy = lower.bytes + upper.bytes, lower.peak + upper.peak
    most, busiest = settings.split_bytes * settings.merge_share, settings.split_operations * settings.merge_share
    if held >= most or busy >= busiest:
        return ""
    return (
        f"both together hold {size(held)} (limit {size(most)}) and served at most {busy:,.0f} operations a second "
        f"(limit {busiest:,.0f})"
    )


def _may_merge(builder: PlanBuilder, lower: AnalyzedPartition, upper: AnalyzedPartition) -> bool:
    alike = lower.info.primary == upper.info.primary and set(lower.info.replicas) == set(upper.info.replicas)
    return alike and all(_is_mergeable(builder, partition) for partition in (lower, upper))


def _is_mergeable(builder: PlanBuilder, partition: AnalyzedPartition) -> bool:
    analysis, number = builder.analysis, partition.info.id
    kept = analysis.history.split_recently(number) or analysis.history.boundary_is_overridden(number)
    return builder.is_free(partition) and partition.whole and analysis.surplus(partition) is None and not kept
