"""Checks for operations that fail at the server. Pure."""

from collections.abc import Iterator

from dstk.v1 import admin_pb2
from dstk_doctor.facts import Facts, Finding, Severity


def failures(facts: Facts) -> Iterator[Finding]:
    """No operation fails at the server between the two observations. Failures that callers cause or retry are fine."""
    for status in facts.second.statuses:
        number, primary = status.partition.id, status.partition.primary
        before = facts.first.status_of.get(number)
        if before is None or before.partition.primary != primary:
            continue  # its counts are of another process
        reads = _grown(before.read_failures, status.read_failures)
        writes = _grown(before.write_failures, status.write_failures)
        if reads or writes:
            what = f"{reads} reads and {writes} writes failed at the server, or are in doubt, within the last second"
            where = f"partition {number} on {primary}"
            yield Finding(Severity.WARNING, "operations_fail", what, where, f"dstk partitions show {number}")


def _grown(before: admin_pb2.FailureCounts, now: admin_pb2.FailureCounts) -> int:
    """Returns the failures between two observations; 0 when a restart has reset the counts."""
    return max(0, now.server - before.server)
