"""The controller, and partitions that are too busy or too large for it."""

from dstk_observability.alerts.kinds import Group, ticket
from dstk_observability.promql import Expr, Not, increase, now, rate
from dstk_telemetry.registry.partitions import ACTIONS, BACKLOG, FINDINGS, LEADS, OTHERS, PAUSED, READS, SIZE, WRITES

HOT_SHARE = 0.5
HOT_RATE = 5000
LARGE_BYTES = 1 << 30
"""Four times the size at which the controller splits a partition by default."""


def _operations(*by: str) -> Expr:
    """Reads and writes a second."""
    return rate(READS, "5m").sum_by("cluster", *by) + rate(WRITES, "5m").sum_by("cluster", *by)


GROUP = Group(
    "controller",
    "Controller and partitions",
    [
        ticket(
            "DstkControllerMissing",
            "2m",
            now(LEADS).sum_by("cluster").equals(0),
            "No node is the controller",
            "Nothing is rebuilt, drained or balanced. Failover does not need the controller.",
        ),
        ticket(
            "DstkControllerTwice",
            "2m",
            now(LEADS).sum_by("cluster").above(1),
            "{{ $value }} nodes hold themselves for the controller",
            "No data is in danger, since each action is a transaction that compares what it rests on.",
        ),
        ticket(
            "DstkControllerPaused",
            "4h",
            now(PAUSED).max_by("cluster").equals(1),
            "The controller is paused for more than four hours",
            "Lost replicas are not rebuilt. Somebody may have forgotten it.",
        ),
        ticket(
            "DstkControllerBacklog",
            "2h",
            now(BACKLOG).max_by("cluster").above(0).unless(now(PAUSED).max_by("cluster").equals(1)),
            "The controller has had work left for two hours",
            "{{ $value }} actions are under way: they fail, or take long.",
        ),
        ticket(
            "DstkControllerStuck",
            "30m",
            now(FINDINGS).max_by("cluster").above(0),
            "The controller knows {{ $value }} problems that it cannot fix",
            "No node has room or may take a replica, or the only replica is on a node that is gone.",
        ),
        ticket(
            "DstkControllerActionsFail",
            "5m",
            increase(ACTIONS, "30m", result="failed").sum_by("cluster", "action").above(5),
            "{{ $value | humanize }} actions {{ $labels.action }} of the controller failed within half an hour",
            "A failed action is repeated after two seconds, then after longer and longer pauses.",
        ),
        ticket(
            "DstkPartitionHot",
            "15m",
            _operations("partition")
            .against(">", _operations() * HOT_SHARE, "cluster")
            .above(HOT_RATE)
            .unless(now(SIZE, partition=OTHERS), on=("cluster", "partition")),
            "Partition {{ $labels.partition }} takes most of the cluster's operations",
            "{{ $value | humanize }} operations a second go to one primary. Above split_operations the controller splits it.",
        ),
        ticket(
            "DstkPartitionLarge",
            "1h",
            now(SIZE, partition=Not(OTHERS)).max_by("cluster", "partition").above(LARGE_BYTES),
            "Partition {{ $labels.partition }} has {{ $value | humanize1024 }}B",
            "The controller should have split it: its copies and comparisons take long.",
        ),
    ],
)
