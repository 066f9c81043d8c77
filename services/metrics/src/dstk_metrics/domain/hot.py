"""Which partitions are hot, and since when.

The rule is that of PD's hot region cache: a partition is hot when its load, the median of its last reports, is at least the
larger of a floor and 0.8 times the smallest of the 60 largest loads. PD needs no more, since its scheduler acts only where
stores differ. This list is for people, so there is a third condition: at least 1.5 times the mean load of all partitions.
Without it, every partition of an evenly busy cluster would be hot, and in a cluster of less than 60 partitions, where the
second condition says nothing, every partition above the floor.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from dstk_metrics.domain.book import Book, ages
from dstk_metrics.domain.columns import LOAD_COLUMNS, LOADS
from dstk_metrics.domain.figures import Figure
from dstk_metrics.domain.report import Floats, Numbers

TOP = 60
RATIO = 0.8
SKEW = 1.5
NEARLY = 0.8
"""Partitions with this part of a threshold are nearly hot."""
FLOORS: Mapping[Figure, float] = {
    Figure.READS: 128,
    Figure.WRITES: 32,
    Figure.READ_BYTES: 8 * 1024,
    Figure.WRITTEN_BYTES: 1024,
    Figure.TIME: 0.1,
}
"""PD's, and for time a tenth of a processor: a node's work on records runs on one."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A partition whose load is at least `threshold` is hot. `mean`: of the loads of all partitions."""

    by: Figure
    threshold: float
    mean: float


@dataclass(frozen=True, slots=True)
class Hot:
    """A hot partition by its slot. `share`: of the cluster's load. `skew`: times the mean. `since`: monotonic seconds."""

    slot: int
    by: Figure
    load: float
    share: float
    skew: float
    since: float


def rule_of(by: Figure, loads: Floats) -> Rule:
    """The rule for the loads of all partitions."""
    threshold, mean = FLOORS[by], float(loads.mean()) if len(loads) else 0.0
    if len(loads) >= TOP:
        threshold = max(threshold, RATIO * float(np.partition(loads, -TOP)[-TOP]))
    if len(loads) > 1:
        threshold = max(threshold, SKEW * mean)
    return Rule(by, threshold, mean)


class Heat:
    """Follows which partitions of the book are hot. `rules`: as of the last update."""

    def __init__(self, book: Book, stale_after_s: float) -> None:
        self._book, self._stale_after_s = book, stale_after_s
        self.rules: Mapping[Figure, Rule] = {by: Rule(by, FLOORS[by], 0) for by in LOADS}

    def update(self, now: float) -> None:
        """Looks at all partitions. What is stale has no load."""
        columns, slots = self._book.columns, self._book.layout.order
        loads = columns.medians[slots]
        loads[ages(columns, slots, now) > self._stale_after_s] = 0
        self.rules = {by: rule_of(by, loads[:, column]) for column, by in enumerate(LOADS)}
        self._book.noted_loads = NEARLY * self._thresholds()
        is_hot = loads >= self._thresholds()
        since = columns.hot_since[slots]
        columns.hot_since[slots] = np.where(is_hot, np.where(np.isnan(since), now, since), np.nan)

    def hottest(self, by: Figure, limit: int) -> list[Hot]:
        """At most so many hot partitions, hottest first."""
        column, columns, mean = LOADS.index(by), self._book.columns, self.rules[by].mean
        slots = self.hot(by)
        slots = slots[np.argsort(-columns.medians[slots, column], kind="stable")][:limit]
        loads, since = columns.medians[slots, column].tolist(), columns.hot_since[slots, column].tolist()
        total = mean * len(self._book.layout)
        return [
            Hot(slot, by, load, load / total, load / mean, at)
            for slot, load, at in zip(slots.tolist(), loads, since, strict=True)
        ]

    def hot(self, by: Figure) -> Numbers:
        """The slots of the partitions that are hot, by key."""
        slots, column = self._book.layout.order, LOADS.index(by)
        hot: Numbers = slots[np.isfinite(self._book.columns.hot_since[slots, column])]
        return hot

    def is_rising(self, node: str) -> bool:
        """Whether a partition of the node is above a threshold by its last report, and not yet by the median."""
        columns, slots, thresholds = self._book.columns, self._book.layout.led_by(node), self._thresholds()
        newest = columns.rates[slots][:, LOAD_COLUMNS]
        return bool(((newest >= thresholds) & (columns.medians[slots] < thresholds) & columns.heard[slots, None]).any())

    def _thresholds(self) -> Floats:
        return np.array([self.rules[by].threshold for by in LOADS])
