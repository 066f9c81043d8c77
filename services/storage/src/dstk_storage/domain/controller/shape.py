"""Splitting partitions that are large or busy, and merging neighbours that are neither.

It never flaps: both halves together are above the limit at which the whole was split, and what is merged is together below
half of it (`merge_share` is 0.5 at most).
"""

from itertools import pairwise
from typing import Final

from dstk_storage.domain.controller.draft import Draft
from dstk_storage.domain.controller.model import Action, Load, Step
from dstk_storage.domain.controller.repair import shown
from dstk_storage.domain.controller.survey import Standing

LEAST_BYTES: Final = 1 << 20
LEAST_RECORDS: Final = 1000
"""Below either, operations are no reason to split: it would be one hot key."""


def split(draft: Draft) -> None:
    """The largest first."""
    sized = [(standing, standing.load) for standing in draft.survey.standings if standing.load is not None]
    for standing, load in sorted(sized, key=lambda pair: (-pair[1].bytes, pair[0].info.id)):
        if not draft.has_room(Action.SPLIT):
            return
        reason = _too_big(draft, load) or _too_busy(draft, load)
        if reason and draft.is_free(standing) and _may_split(draft, standing):
            by_load = not _too_big(draft, load)
            draft.take(Step(Action.SPLIT, standing.info.id, reason, by_load=by_load))


def merge(draft: Draft) -> None:
    """Neighbours, from the first key on. There are never fewer partitions than nodes that could serve them."""
    for lower, upper in pairwise(draft.survey.standings):
        spare = draft.partitions > max(1, len(draft.survey.usable))
        if not spare or not draft.has_room(Action.MERGE):
            return
        reason = _too_small(draft, lower.load, upper.load)
        if reason and _may_merge(draft, lower, upper):
            at = upper.info.range.start
            draft.take(Step(Action.MERGE, lower.info.id, reason, at=at, upper=upper.info.id))


def _too_big(draft: Draft, load: Load) -> str:
    limit = draft.survey.settings.split_bytes
    if load.bytes <= limit or load.records < 2:  # noqa: PLR2004 - one record cannot be split
        return ""
    return f"{shown(load.bytes)} are more than {shown(limit)}"


def _too_busy(draft: Draft, load: Load) -> str:
    limit = draft.survey.settings.split_operations
    small = load.bytes < LEAST_BYTES or load.records < LEAST_RECORDS
    if small or load.sustained is None or load.sustained <= limit:
        return ""
    return f"{load.sustained:,.0f} operations a second are more than {limit:,.0f}"


def _may_split(draft: Draft, standing: Standing) -> bool:
    survey, number = draft.survey, standing.info.id
    copied = any(node in survey.alive and node not in standing.info.in_sync for node in standing.info.replicas)
    moving = survey.surplus(standing) is not None
    kept = survey.memory.merged_lately(number) or survey.memory.merge_is_overridden(number)
    return not copied and not moving and not kept


def _too_small(draft: Draft, lower: Load | None, upper: Load | None) -> str:
    settings = draft.survey.settings
    if lower is None or upper is None or lower.peak is None or upper.peak is None:
        return ""
    size, busy = lower.bytes + upper.bytes, lower.peak + upper.peak
    most, busiest = settings.split_bytes * settings.merge_share, settings.split_operations * settings.merge_share
    if size >= most or busy >= busiest:
        return ""
    return (
        f"both together hold {shown(size)}, less than {shown(most)}, and had at most {busy:,.0f} operations a second, "
        f"less than {busiest:,.0f}"
    )


def _may_merge(draft: Draft, lower: Standing, upper: Standing) -> bool:
    alike = lower.info.primary == upper.info.primary and set(lower.info.replicas) == set(upper.info.replicas)
    return alike and all(_is_mergeable(draft, standing) for standing in (lower, upper))


def _is_mergeable(draft: Draft, standing: Standing) -> bool:
    survey, number = draft.survey, standing.info.id
    kept = survey.memory.split_lately(number) or survey.memory.boundary_is_overridden(number)
    return draft.is_free(standing) and standing.whole and survey.surplus(standing) is None and not kept
