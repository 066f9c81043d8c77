"""Balances the usable nodes: replicas over zones, then bytes, then primaries, then operations.

Balance ends: no move reduces the number of zones of a partition; each move of a replica reduces the sum of squares of the
nodes' bytes; each transfer reduces the sum of squares of their primaries, or keeps it and reduces that of their operations;
and no later rule depends on the measure of an earlier one.
"""

from dstk_storage.domain.controller.checkers.balance_primaries import balance_operations, balance_primaries
from dstk_storage.domain.controller.checkers.balance_replicas import balance_bytes, balance_zones
from dstk_storage.domain.controller.plan_builder import PlanBuilder


def check_balance(builder: PlanBuilder) -> None:
    """Does nothing while a node is away or starting, and moves no bytes while the figures of a partition are unknown."""
    analysis = builder.analysis
    if analysis.unsettled:
        names = ", ".join(sorted(analysis.unsettled))
        builder.report(f"balance waits for {names}: gone for a short while, starting or stopping")
        return
    if not analysis.usable:
        return
    known = all(partition.load is not None for partition in analysis.partitions)
    complete = all(len(each.staying) >= each.wanted for each in analysis.partitions if each.led)
    if known and complete:
        balance_zones(builder)
        balance_bytes(builder)
    balance_primaries(builder)
    if known:
        balance_operations(builder)
