"""Checks of the background comparison of replicas: its results, and whether it runs. Pure."""

from collections.abc import Iterator

from dstk.v1 import admin_pb2
from dstk_doctor.facts import Facts, Finding, Severity
from dstk_service.figures import duration

STALE_INTERVALS = 3
"""A comparison is late after this many configured intervals."""


def differences(facts: Facts) -> Iterator[Finding]:
    """Replicas hold the same records."""
    for status in facts.second.statuses:
        number, found = status.partition.id, status.comparison
        nodes, ago = ", ".join(found.nodes), since(found, facts.now_ms)
        if found.outcome == admin_pb2.COMPARISON_OUTCOME_UNDECIDED:
            what = (
                f"the replicas on {nodes} differ and no majority agrees, as compared {ago} ago; nothing was changed. Look "
                f"where they differ; hand over to the one that is right by `dstk partitions transfer {number} --to NODE`; then "
                "--apply has the others copied from it"
            )
            run = f"dstk partitions repair {number}"
            yield Finding(Severity.ERROR, "replicas_differ", what, f"partition {number}", run)
        elif found.outcome == admin_pb2.COMPARISON_OUTCOME_QUARANTINED:
            what = f"{nodes} differed from the majority {ago} ago, and is being rebuilt: check its disk"
            run = f"dstk partitions show {number}"
            yield Finding(Severity.WARNING, "replica_differed", what, f"partition {number}", run)


def pace(facts: Facts) -> Iterator[Finding]:
    """Comparisons run as often as configured."""
    if facts.controller is None:
        return
    hours = facts.controller.settings.compare_hours
    if not hours:
        what = "replicas are not compared in the background: damage that no checksum shows stays unnoticed"
        yield Finding(Severity.NOTE, "comparison_off", what, "controller", "dstk controller set compare_hours=24")
        return
    for status in facts.second.statuses:
        found, number = status.comparison, status.partition.id
        late_ms = STALE_INTERVALS * hours * 3_600_000
        if found.completed_ms and facts.now_ms - found.completed_ms > late_ms and not found.running:
            what = f"its replicas were last compared {since(found, facts.now_ms)} ago; every {hours:g} h is set"
            run = f"dstk partitions show {number}"
            yield Finding(Severity.WARNING, "comparison_late", what, f"partition {number}", run)


def since(found: admin_pb2.ComparisonStatus, now_ms: float) -> str:
    """Formats how long ago the last comparison ended."""
    return duration(max(0.0, (now_ms - found.completed_ms) / 1000))
