"""Makes plans: a pure function of the situation, without a clock, randomness or a memory of its own."""

from collections.abc import Callable
from typing import Final

from dstk_storage.domain.controller.analysis import Analysis
from dstk_storage.domain.controller.checkers.balance import check_balance
from dstk_storage.domain.controller.checkers.merges import check_merges
from dstk_storage.domain.controller.checkers.nodes import check_nodes
from dstk_storage.domain.controller.checkers.replicas import check_replicas
from dstk_storage.domain.controller.checkers.splits import check_splits
from dstk_storage.domain.controller.model import Plan, Situation
from dstk_storage.domain.controller.plan_builder import PlanBuilder

Checker = Callable[[PlanBuilder], None]
"""Adds the steps and findings of one concern to a plan."""

CHECKERS: Final[tuple[Checker, ...]] = (check_nodes, check_replicas, check_splits, check_merges, check_balance)
"""In order of urgency: a partition that an earlier checker touches is left alone by the later ones."""


def make_plan(situation: Situation) -> Plan:
    """Plans the next steps. Returns an empty plan while the cluster has no map."""
    if not situation.map.partitions:
        return Plan()
    builder = PlanBuilder(Analysis(situation))
    for check in CHECKERS:
        check(builder)
    return builder.build()
