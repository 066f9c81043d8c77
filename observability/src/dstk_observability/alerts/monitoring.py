"""Telemetry itself: who watches the watchers."""

from dstk_observability.alerts.kinds import Alert, Group, Severity, page, ticket
from dstk_observability.external import DELIVERIES_FAILED, NOTIFICATIONS_DROPPED, RELOADED, RULE_FAILURES
from dstk_observability.promql import always, increase, now
from dstk_telemetry.registry.runtime import DROPPED, OBSERVER_FAILURES

GROUP = Group(
    "monitoring",
    "Telemetry and alerting",
    [
        Alert(
            "DstkWatchdog",
            Severity.HEARTBEAT,
            "1m",
            always(),
            "Alerting works",
            "This alert always fires. Whoever receives it raises the alarm when it stops.",
        ),
        page(
            "DstkNotificationsFail",
            "5m",
            increase(DELIVERIES_FAILED, "10m").sum_by("cluster", "integration").above(0),
            "Alertmanager cannot deliver by {{ $labels.integration }}",
            "{{ $value | humanize }} notifications failed within ten minutes: nobody may learn of other alerts.",
        ),
        page(
            "DstkAlertsDropped",
            "5m",
            increase(NOTIFICATIONS_DROPPED, "10m").above(0),
            "Prometheus does not reach Alertmanager",
            "{{ $value | humanize }} alerts were dropped within ten minutes.",
        ),
        ticket(
            "DstkRulesFail",
            "5m",
            increase(RULE_FAILURES, "10m").sum_by("cluster", "rule_group").above(0),
            "Prometheus fails to evaluate rules of {{ $labels.rule_group }}",
            "Alerts of this group may not fire.",
        ),
        ticket(
            "DstkConfigurationRefused",
            "5m",
            now(RELOADED).equals(0),
            "Prometheus refused its new configuration",
            "It goes on with the old one: new rules and targets are not there.",
        ),
        ticket(
            "DstkTelemetryDropped",
            "10m",
            increase(DROPPED, "10m").above(0),
            "{{ $labels.instance }} drops {{ $labels.sink }}",
            "{{ $value | humanize }} were dropped within ten minutes. No request waits for them.",
        ),
        ticket(
            "DstkObserverFails",
            "1m",
            increase(OBSERVER_FAILURES, "1h").above(0),
            "An observer in {{ $labels.instance }} failed",
            "Metrics, traces or log lines of {{ $value | humanize }} events are missing: this is a fault of DSTK.",
        ),
    ],
)
