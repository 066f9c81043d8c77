"""Which alerts go with which findings: a person who is paged runs the doctor, and one who runs the doctor finds the runbook."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

ALERTS: Mapping[str, Sequence[str]] = MappingProxyType(
    {
        "no_primary": ["DstkPartitionsNotServing"],
        "lost": ["DstkPartitionsQuarantined"],
        "quarantined": ["DstkPartitionsQuarantined", "DstkBlockCorrupt"],
        "under_replicated": ["DstkUnderReplicated"],
        "in_sync_silent": ["DstkReplicationLags"],
        "replica_behind": ["DstkReplicationLags"],
        "learner_stuck": ["DstkFollowerFarBehind", "DstkSnapshotsFail"],
        "needs_snapshot": ["DstkSnapshotsFail"],
        "epoch_stale": ["DstkMapStale"],
        "comes_and_goes": ["DstkReplicasFlap"],
        "replicas_differ": ["DstkReplicasDiffer"],
        "replica_differed": ["DstkReplicaOutvoted"],
        "engine_replaced": ["DstkEngineReplaced"],
        "operations_fail": [
            "DstkAvailabilityBudgetBurnsFast",
            "DstkAvailabilityBudgetBurns",
            "DstkAvailabilityBudgetBurnsSlowly",
            "DstkCallsFail",
        ],
        "node_silent": ["DstkNodeDown", "DstkNodeNotReady", "DstkFeedSilent"],
        "node_gone": ["DstkNodeDown", "DstkNodesDown"],
        "read_only": ["DstkDiskReadOnly", "DstkDiskWritesFail"],
        "low_disk": ["DstkDiskLow", "DstkDiskFillsWithinHours", "DstkDiskFillsWithinDays", "DstkClusterSpaceLow"],
        "no_etcd": ["DstkEtcdUnreachable", "DstkLeaseStale"],
        "mixed_versions": ["DstkVersionsMixed"],
        "no_controller": ["DstkControllerMissing"],
        "controller_unknown": ["DstkControllerMissing"],
        "controller_paused": ["DstkControllerPaused"],
    }
)
"""By the kind of a finding, the one that says most first; docs/runbooks has a page for each."""

WITHOUT: Mapping[str, str] = MappingProxyType(
    {
        "map_gap": "it needs the whole map, which no metric has",
        "map_overlap": "it needs the whole map, which no metric has",
        "replica_ahead": "it needs the positions of single replicas, which no metric has",
        "two_primaries": "it needs the claims of all nodes at one moment",
        "replica_missing": "it needs the map and the replicas of all nodes",
        "clocks_apart": "Prometheus scrapes nodes at different moments",
        "comparison_late": "nothing is known to be wrong",
        "comparison_off": "a setting that a person chose",
        "engine_kept": "only space is left to be freed",
        "cordoned": "a state that a person chose",
        "draining": "a state that a person chose",
        "emptied": "a state that a person chose",
    }
)
"""The kinds that no alert goes with, and why."""


def findings_of(alert: str) -> list[str]:
    """The kinds of findings that go with an alert."""
    return [kind for kind, alerts in ALERTS.items() if alert in alerts]
