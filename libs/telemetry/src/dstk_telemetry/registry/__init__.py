"""The one registry: every metric, span and log field that DSTK has. Whatever is shipped is generated from it."""

from collections.abc import Mapping, Sequence

from dstk_telemetry.registry import (
    clients,
    cluster_partitions,
    commit,
    engine,
    feeds,
    history,
    partitions,
    replication,
    rpc,
    runtime,
)
from dstk_telemetry.registry.kinds import Metric, Owner

AREAS: Mapping[str, Sequence[Metric]] = {
    "Calls and operations": rpc.METRICS,
    "Commit pipeline and disk": commit.METRICS,
    "Replication and failover": replication.METRICS,
    "LevelDB and expiry": engine.METRICS,
    "Partitions and controller": partitions.METRICS,
    "Clients, map and etcd": clients.METRICS,
    "Metrics service: feeds and measuring": feeds.METRICS,
    "Metrics service: partitions of the cluster": cluster_partitions.METRICS,
    "Metrics service: history and console": history.METRICS,
    "Process": runtime.METRICS,
}
"""Metrics by area, in the order in which documents list them."""

METRICS: Mapping[str, Metric] = {metric.name: metric for area in AREAS.values() for metric in area}
"""All metrics, by name."""

assert len(METRICS) == sum(map(len, AREAS.values())), "two metrics have one name"


def metrics_of(owner: Owner) -> list[Metric]:
    """What a service exports."""
    return [metric for metric in METRICS.values() if owner in metric.owners]
