"""Trials of alerts about telemetry and alerting."""

from collections.abc import Mapping

from dstk_observability.external import DELIVERIES_FAILED, NOTIFICATIONS_DROPPED, RELOADED, RULE_FAILURES
from dstk_observability.trials.kinds import Trial, becomes, gone, grows, jumps, on, on_node
from dstk_telemetry.registry.runtime import DROPPED, OBSERVER_FAILURES

_NODE = {"instance": "storage-1"}

TRIALS: Mapping[str, Trial] = {
    "DstkWatchdog": Trial([], [{}], quiet=0, resolves=False, step=15),
    "DstkNotificationsFail": Trial(
        [grows(DELIVERIES_FAILED, 0.1)],
        [on(integration="webhook")],
        [[gone(DELIVERIES_FAILED)]],
    ),
    "DstkAlertsDropped": Trial(
        [grows(NOTIFICATIONS_DROPPED, 0.1)],
        [on_node("prometheus", "prometheus", alertmanager="http://alertmanager:9093")],
        [[gone(NOTIFICATIONS_DROPPED)]],
    ),
    "DstkRulesFail": Trial([grows(RULE_FAILURES, 0.1)], [on(rule_group="dstk-nodes")], [[gone(RULE_FAILURES)]]),
    "DstkConfigurationRefused": Trial(
        [becomes(RELOADED, 0)], [on_node("prometheus", "prometheus")], [[gone(RELOADED)]]
    ),
    "DstkTelemetryDropped": Trial(
        [grows(DROPPED, 1, sink="traces", **_NODE)], [on_node(sink="traces")], [[gone(DROPPED)]]
    ),
    "DstkObserverFails": Trial([jumps(OBSERVER_FAILURES, 3, **_NODE)], [on_node()], [[gone(OBSERVER_FAILURES)]]),
}
