"""Splits partitions that are large or busy.

Splits and merges never alternate: the two halves together are above the limit at which the whole was split, and partitions
are merged only when both together are below half of it (`merge_share` is at most 0.5).
"""

from typing import Final

from dstk_storage.domain.controller.analysis import AnalyzedPartition
from dstk_storage.domain.controller.model import Action, Load, Step
from dstk_storage.domain.controller.plan_builder import PlanBuilder
from dstk_storage.domain.controller.text import size

MIN_BYTES: Final = 1 << 20
MIN_RECORDS: Final = 1000
"""Below either of them, operations are no reason to split: the load is most likely on a single key."""


def check_splits(builder: PlanBuilder) -> None:
    """Splits the largest partitions first."""
    sized = [(partition, partition.load) for partition in builder.analysis.partitions if partition.load is not None]
    for partition, load in sorted(sized, key=lambda pair: (-pair[1].bytes, pair[0].info.id)):
        if not builder.has_capacity(Action.SPLIT):
            return
        too_large = _too_large(builder, load)
        reason = too_large or _too_busy(builder, load)
        if reason and builder.is_free(partition) and _may_split(builder, partition):
            builder.add(Step(Action.SPLIT, partition.info.id, reason, by_load=not too_large))


def _too_large(builder: PlanBuilder, load: Load) -> str:
    limit = builder.analysis.settings.split_bytes
    if load.bytes <= limit or load.records < 2:  # noqa: PLR2004 - one record cannot be split
        return ""
    return f"it holds {size(load.bytes)} (limit {size(limit)})"


def _too_busy(builder: PlanBuilder, load: Load) -> str:
    limit = builder.analysis.settings.split_operations
    small = load.bytes < MIN_BYTES or load.records < MIN_RECORDS
    if small or load.sustained is None or load.sustained <= limit:
        return ""
    return f"it serves {load.sustained:,.0f} operations a second (limit {limit:,.0f})"


def _may_split(builder: PlanBuilder, partition: AnalyzedPartition) -> bool:
    """Not while a replica is copied or moved, and not if the partition was merged recently or by an operator."""
    analysis, info = builder.analysis, partition.info
    copied = any(node in analysis.alive and node not in info.in_sync for node in info.replicas)
    moving = analysis.surplus(partition) is not None
    kept = analysis.history.merged_recently(info.id) or analysis.history.merge_is_overridden(info.id)
    return not copied and not moving and not kept
