"""Alertmanager's configuration: a notification for each area, a receiver for each severity, no causes beside symptoms."""

from collections.abc import Mapping
from typing import Any

from dstk_observability.alerts.kinds import Severity
from dstk_observability.documents import as_yaml

Receivers = Mapping[Severity, str]
"""Addresses that take Alertmanager's webhooks, by severity."""

TO_FILL_IN = """\
# The receivers have no destination yet: alerts show on Alertmanager's page. Give them one in alertmanager.py, for example
#   {Severity.PAGE: "https://…"}, a webhook; https://prometheus.io/docs/alerting/latest/configuration lists what else there is.
"""

SAME_PLACE = ["cluster", "instance"]
INHIBITIONS = (
    # (what fires, what it explains, the labels that both share)
    (["DstkNodesDown"], ["DstkNodeDown"], ["cluster"]),
    (["DstkRoutersDown"], ["DstkRouterDown"], ["cluster"]),
    (["DstkEtcdNoQuorum"], ["DstkEtcdMemberDown", "DstkEtcdNoLeader", "DstkEtcdUnreachable"], ["cluster"]),
    (
        ["DstkEtcdNoLeader", "DstkEtcdNoQuorum"],
        ["DstkControllerMissing", "DstkEtcdRequestsSlow", "DstkEtcdWatchSilent", "DstkLeaseStale"],
        ["cluster"],
    ),
    (["DstkDiskReadOnly"], ["DstkDiskLow", "DstkDiskFillsWithinHours", "DstkDiskFillsWithinDays"], SAME_PLACE),
    (["DstkDiskFillsWithinHours"], ["DstkDiskFillsWithinDays"], SAME_PLACE),
    (["DstkDiskHangs"], ["DstkCommitSlow", "DstkCommitWaits", "DstkCommitQueueFull"], SAME_PLACE),
    (["DstkNodeDown", "DstkNodesDown"], ["DstkFeedSilent", "DstkUnderReplicated"], ["cluster"]),
    (
        ["DstkAvailabilityBudgetBurnsFast"],
        ["DstkAvailabilityBudgetBurns", "DstkAvailabilityBudgetBurnsSlowly"],
        ["cluster", "job"],
    ),
    (["DstkAvailabilityBudgetBurns"], ["DstkAvailabilityBudgetBurnsSlowly"], ["cluster", "job"]),
    (["DstkLatencyBudgetBurnsFast"], ["DstkLatencyBudgetBurns", "DstkLatencyBudgetBurnsSlowly"], ["cluster", "job"]),
    (["DstkLatencyBudgetBurns"], ["DstkLatencyBudgetBurnsSlowly"], ["cluster", "job"]),
)
"""While the first fires, the second does not notify."""


def configuration(receivers: Receivers | None = None, wait: str = "30s", interval: str = "5m") -> str:
    """alertmanager.yml. `wait`: how long a group gathers its first alerts; `interval`: until it tells of further ones."""
    content = {
        "route": _routes(wait, interval),
        "receivers": [_receiver(severity, receivers or {}) for severity in Severity],
        "inhibit_rules": [_inhibition(*each) for each in INHIBITIONS],
    }
    return as_yaml(content, "" if receivers else TO_FILL_IN)


def _routes(wait: str, interval: str) -> dict[str, Any]:
    """The receiver of what has no severity is the one that wakes a person: an alert must not get lost."""
    return {
        "receiver": str(Severity.PAGE),
        "group_by": ["cluster", "area", "severity"],
        "group_wait": wait,
        "group_interval": interval,
        "repeat_interval": "4h",
        "routes": [
            _route(Severity.PAGE),
            _route(Severity.TICKET, repeat_interval="1d"),
            _route(Severity.HEARTBEAT, group_wait="0s", group_interval="1m", repeat_interval="1m"),
        ],
    }


def _route(severity: Severity, **options: str) -> dict[str, Any]:
    return {"receiver": str(severity), "matchers": [f'severity = "{severity}"'], **options}


def _receiver(severity: Severity, receivers: Receivers) -> dict[str, Any]:
    webhooks = [{"url": receivers[severity], "send_resolved": True}] if severity in receivers else []
    return {"name": str(severity), **({"webhook_configs": webhooks} if webhooks else {})}


def _inhibition(sources: list[str], targets: list[str], equal: list[str]) -> dict[str, Any]:
    return {
        "source_matchers": [f'alertname =~ "{"|".join(sources)}"'],
        "target_matchers": [f'alertname =~ "{"|".join(targets)}"'],
        "equal": equal,
    }
