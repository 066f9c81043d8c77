"""Metrics of other programs that the rules use: etcd, Prometheus, Alertmanager, and those of every process in Python.

Tests hold that the real programs export them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from dstk_telemetry.registry.kinds import EVERY_SERVICE, Kind, Label, Owner


@dataclass(frozen=True, slots=True)
class External:
    """One family of series of another program. `jobs`: the names of the scrape jobs that have it."""

    name: str
    kind: Kind
    jobs: tuple[str, ...]
    labels: tuple[Label, ...] = ()
    buckets: tuple[float, ...] = ()

    @property
    def label_names(self) -> tuple[str, ...]:
        """In the order of `labels`."""
        return tuple(label.name for label in self.labels)


ETCD, PROMETHEUS, ALERTMANAGER = "etcd", "prometheus", "alertmanager"
JOBS = (Owner.STORAGE, Owner.ROUTER, Owner.METRICS, ETCD, PROMETHEUS, ALERTMANAGER)
"""Names of the scrape jobs."""
SERVICES: Sequence[str] = EVERY_SERVICE
PEER = Label("To", "id of the other member", bound=9)
INTEGRATION = Label("integration", "how Alertmanager delivers", bound=10)
REASON = Label("reason", "of the failure", bound=10)

WAL_SECONDS = tuple(2**power / 1000 for power in range(14))
"""The bounds of etcd's histograms of its disk, in seconds."""
PEER_SECONDS = tuple(2**power / 10000 for power in range(16))
"""Those of its network."""


def _gauge(name: str, *jobs: str) -> External:
    return External(name, Kind.GAUGE, jobs)


def _counter(name: str, *jobs: str, labels: tuple[Label, ...] = ()) -> External:
    return External(name, Kind.COUNTER, jobs, labels)


UP = External("up", Kind.GAUGE, JOBS)

ALERT = Label("alertname", "name of the rule", bound=100)
STATE = Label("alertstate", "what became of it", ("pending", "firing"))
SEVERITY = Label("severity", "who is told, and when", bound=3)
ALERTS = External("ALERTS", Kind.GAUGE, (), (ALERT, STATE, SEVERITY))
"""Made by Prometheus' rules, not scraped: 1 for each alert that is pending or fires."""

PROCESS_MEMORY = External("process_resident_memory_bytes", Kind.GAUGE, tuple(SERVICES))
PROCESS_CPU = External("process_cpu_seconds_total", Kind.COUNTER, tuple(SERVICES))
PROCESS_OPEN_FILES = External("process_open_fds", Kind.GAUGE, tuple(SERVICES))
PROCESS_MOST_FILES = External("process_max_fds", Kind.GAUGE, tuple(SERVICES))

ETCD_HAS_LEADER = _gauge("etcd_server_has_leader", ETCD)
ETCD_LEADER_CHANGES = _counter("etcd_server_leader_changes_seen_total", ETCD)
ETCD_PROPOSALS_FAILED = _counter("etcd_server_proposals_failed_total", ETCD)
ETCD_PROPOSALS_PENDING = _gauge("etcd_server_proposals_pending", ETCD)
ETCD_WAL_FSYNC = External("etcd_disk_wal_fsync_duration_seconds", Kind.HISTOGRAM, (ETCD,), buckets=WAL_SECONDS)
ETCD_BACKEND_COMMIT = External(
    "etcd_disk_backend_commit_duration_seconds", Kind.HISTOGRAM, (ETCD,), buckets=WAL_SECONDS
)
ETCD_PEER_ROUND_TRIP = External(
    "etcd_network_peer_round_trip_time_seconds", Kind.HISTOGRAM, (ETCD,), (PEER,), PEER_SECONDS
)
ETCD_DATABASE_BYTES = _gauge("etcd_mvcc_db_total_size_in_bytes", ETCD)
ETCD_QUOTA_BYTES = _gauge("etcd_server_quota_backend_bytes", ETCD)

RULE_FAILURES = _counter(
    "prometheus_rule_evaluation_failures_total", PROMETHEUS, labels=(Label("rule_group", "file and group", bound=100),)
)
NOTIFICATIONS_DROPPED = _counter(
    "prometheus_notifications_dropped_total", PROMETHEUS, labels=(Label("alertmanager", "its address", bound=9),)
)
RELOADED = _gauge("prometheus_config_last_reload_successful", PROMETHEUS)
DELIVERIES_FAILED = _counter("alertmanager_notifications_failed_total", ALERTMANAGER, labels=(INTEGRATION, REASON))

EXTERNALS = (
    UP,
    PROCESS_MEMORY,
    PROCESS_CPU,
    PROCESS_OPEN_FILES,
    PROCESS_MOST_FILES,
    ETCD_HAS_LEADER,
    ETCD_LEADER_CHANGES,
    ETCD_PROPOSALS_FAILED,
    ETCD_PROPOSALS_PENDING,
    ETCD_WAL_FSYNC,
    ETCD_BACKEND_COMMIT,
    ETCD_PEER_ROUND_TRIP,
    ETCD_DATABASE_BYTES,
    ETCD_QUOTA_BYTES,
    RULE_FAILURES,
    NOTIFICATIONS_DROPPED,
    RELOADED,
    DELIVERIES_FAILED,
)
