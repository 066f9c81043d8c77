"""Routers as clients of the storage nodes."""

from dstk_observability.alerts.kinds import Group, ticket
from dstk_observability.promql import Not, now, rate, slower
from dstk_telemetry.registry.clients import CLIENT_QUEUE, CLIENT_RETRIES, CLIENT_SECONDS
from dstk_telemetry.registry.kinds import Owner
from dstk_telemetry.registry.rpc import OPERATIONS

REDIRECT = "NOT_OWNER"
_WHO = "{{ $labels.instance }}"
_OPERATIONS = rate(OPERATIONS, "5m", job=Owner.ROUTER).sum_by("cluster", "instance")

GROUP = Group(
    "routers",
    "Routers as clients",
    [
        ticket(
            "DstkClientRetries",
            "10m",
            (rate(CLIENT_RETRIES, "5m", reason=Not(REDIRECT)).sum_by("cluster", "instance") / _OPERATIONS).above(0.05),
            f"{_WHO} repeats {{{{ $value | humanizePercentage }}}} of its operations",
            "Nodes are overloaded or do not answer. Callers see it as latency, and at last as errors.",
        ),
        ticket(
            "DstkClientRedirects",
            "10m",
            (rate(CLIENT_RETRIES, "5m", reason=REDIRECT).sum_by("cluster", "instance") / _OPERATIONS).above(0.05),
            f"{{{{ $value | humanizePercentage }}}} of {_WHO}'s operations go to the wrong node first",
            "Its partition map is old, or partitions move all the time.",
        ),
        ticket(
            "DstkRouterQueueGrows",
            "5m",
            now(CLIENT_QUEUE).above(10000),
            f"{{{{ $value }}}} operations wait in {_WHO}",
            "Nodes answer more slowly than callers ask.",
        ),
        ticket(
            "DstkNodeMessagesSlow",
            "10m",
            slower(1, CLIENT_SECONDS, "5m", "cluster", "instance"),
            f"One in a hundred messages from {_WHO} to nodes takes {{{{ $value | humanizeDuration }}}}",
            "A node, its disk or the network to it is slow.",
        ),
    ],
)
