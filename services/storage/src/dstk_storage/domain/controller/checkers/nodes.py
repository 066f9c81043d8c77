"""Checks that there are enough usable nodes."""

from dstk_storage.domain.controller.plan_builder import PlanBuilder


def check_nodes(builder: PlanBuilder) -> None:
    """Reports when there are fewer usable nodes than each partition should have replicas."""
    usable, wanted = len(builder.analysis.usable), builder.analysis.settings.replicas
    if usable < wanted:
        builder.report(f"there are {usable} usable nodes, but each partition should have {wanted} replicas")
