"""Trials of alerts about the metrics service."""

from collections.abc import Mapping

from dstk_observability.external import UP
from dstk_observability.trials.kinds import Trial, becomes, gone, grows, jumps, on, on_node
from dstk_telemetry.registry.feeds import REFUSED, SILENT
from dstk_telemetry.registry.history import MOVED_ASIDE, WAITING

_SERVICE = {"instance": "metrics-1"}

TRIALS: Mapping[str, Trial] = {
    "DstkMetricsDown": Trial(
        [becomes(UP, 0, **_SERVICE)],
        [on_node("metrics-1", "metrics")],
        [[becomes(UP, 0, job="router"), becomes(UP, 0, job="storage")], [gone(UP, job="metrics")]],
        step=15,
    ),
    "DstkFeedSilent": Trial(
        [becomes(SILENT, 1, peer="storage-2", **_SERVICE)], [on(peer="storage-2")], [[gone(SILENT)]], step=15
    ),
    "DstkFeedNotBelieved": Trial(
        [grows(REFUSED, 0.1, refusal="fell", **_SERVICE)], [on(refusal="fell")], [[gone(REFUSED)]]
    ),
    "DstkHistoryWritesFail": Trial(
        [becomes(WAITING, 3, **_SERVICE)], [on_node("metrics-1", "metrics")], [[gone(WAITING)]]
    ),
    "DstkHistoryMovedAside": Trial(
        [jumps(MOVED_ASIDE, 1, **_SERVICE)], [on_node("metrics-1", "metrics")], [[gone(MOVED_ASIDE)]]
    ),
}
