"""The background comparison of a partition's replicas, as text and as JSON."""

from typing import Any

from dstk.v1 import admin_pb2
from dstk_doctor.comparison_checks import since

OUTCOMES = {
    admin_pb2.COMPARISON_OUTCOME_UNSPECIFIED: "never",
    admin_pb2.COMPARISON_OUTCOME_EQUAL: "equal",
    admin_pb2.COMPARISON_OUTCOME_QUARANTINED: "quarantined",
    admin_pb2.COMPARISON_OUTCOME_UNDECIDED: "undecided",
    admin_pb2.COMPARISON_OUTCOME_INCOMPLETE: "incomplete",
}


def as_json(found: admin_pb2.ComparisonStatus) -> dict[str, Any]:
    """Returns the comparison as one object. `completed_ms` 0: the primary knows of none."""
    return {
        "outcome": OUTCOMES.get(found.outcome, "unknown"),
        "completed_ms": found.completed_ms,
        "records": found.records,
        "nodes": list(found.nodes),
        "running": found.running,
        "progress": round(found.progress, 3),
    }


def summary(found: admin_pb2.ComparisonStatus, now_ms: float) -> str:
    """Formats when the last comparison ended, what it found, and the progress of a running one."""
    running = f"one is running: {found.progress:.0%} done" if found.running else ""
    if not found.completed_ms:
        return running or "no comparison known to the primary"
    ago = f"{_found(found)}, {since(found, now_ms)} ago; {found.records:,} records"
    return f"{ago}; {running}" if running else ago


def _found(found: admin_pb2.ComparisonStatus) -> str:
    nodes = ", ".join(found.nodes)
    match found.outcome:
        case admin_pb2.COMPARISON_OUTCOME_EQUAL:
            return "all replicas are equal"
        case admin_pb2.COMPARISON_OUTCOME_QUARANTINED:
            return f"{nodes} differed from a majority and is rebuilt"
        case admin_pb2.COMPARISON_OUTCOME_UNDECIDED:
            return f"{nodes} differ, and no majority agrees"
        case admin_pb2.COMPARISON_OUTCOME_INCOMPLETE:
            return f"nothing differs, but {nodes} could not be compared"
    return "an outcome unknown to this program"
