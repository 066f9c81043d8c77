"""Derives findings from facts. Pure, so that each check is tested by itself."""

from collections.abc import Callable, Iterable

from dstk_doctor import comparison_checks, engine_checks, map_checks, node_checks, operation_checks, replica_checks
from dstk_doctor.facts import Facts, Finding, Severity

CHECKS: tuple[Callable[[Facts], Iterable[Finding]], ...] = (
    map_checks.cover,
    map_checks.primaries,
    map_checks.replication,
    map_checks.living_replicas,
    replica_checks.positions,
    replica_checks.epochs,
    replica_checks.claims,
    replica_checks.presence,
    engine_checks.lost,
    replica_checks.quarantine,
    replica_checks.rebuilds,
    comparison_checks.differences,
    comparison_checks.pace,
    operation_checks.failures,
    node_checks.presence,
    engine_checks.replaced,
    node_checks.disks,
    node_checks.clocks,
    node_checks.etcd,
    node_checks.versions,
    node_checks.desired_states,
    node_checks.controller,
)

_ORDER = list(Severity)


def examine(facts: Facts) -> list[Finding]:
    """Returns all findings, the worst first."""
    found = [finding for check in CHECKS for finding in check(facts)]
    return sorted(found, key=lambda finding: _ORDER.index(finding.severity))
