"""The metrics service: what it hears, and the history that it keeps. No read and no write depends on it."""

from dstk_observability.alerts.kinds import Group, ticket
from dstk_observability.external import UP
from dstk_observability.promql import happened, increase, now
from dstk_telemetry.registry.feeds import REFUSED, SILENT
from dstk_telemetry.registry.history import MOVED_ASIDE, WAITING
from dstk_telemetry.registry.kinds import Owner

_WHO = "{{ $labels.instance }}"

GROUP = Group(
    "metrics",
    "Metrics service",
    [
        ticket(
            "DstkMetricsDown",
            "2m",
            now(UP, job=Owner.METRICS).equals(0),
            f"Metrics service {_WHO} is down",
            "Its console is out of reach and its history has a gap. Reads and writes go on.",
        ),
        ticket(
            "DstkFeedSilent",
            "2m",
            now(SILENT).max_by("cluster", "peer").equals(1),
            "A metrics service hears nothing from {{ $labels.peer }}",
            "The figures of its partitions are old, and the console marks them.",
        ),
        ticket(
            "DstkFeedNotBelieved",
            "10m",
            increase(REFUSED, "10m").sum_by("cluster", "refusal").above(0),
            "Nodes send figures that cannot be true ({{ $labels.refusal }})",
            "{{ $value | humanize }} rows were left out within ten minutes: this is a fault of DSTK.",
        ),
        ticket(
            "DstkHistoryWritesFail",
            "5m",
            now(WAITING).above(0),
            f"{_WHO} cannot write its history",
            "Its disk is full or broken. {{ $value }} minutes wait; the oldest are lost after an hour. The rest goes on.",
        ),
        ticket(
            "DstkHistoryMovedAside",
            "1m",
            happened(MOVED_ASIDE, "1h"),
            f"The history of {_WHO} was damaged and began again",
            "The heat map shows nothing from before. The damaged file lies beside the new one.",
        ),
    ],
)
