"""A healthy cluster as Prometheus sees it: three storage nodes, two routers, a metrics service, three members of etcd, and
what watches them.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import product

from dstk_observability.external import (
    ALERTMANAGER,
    ETCD,
    ETCD_DATABASE_BYTES,
    ETCD_HAS_LEADER,
    ETCD_QUOTA_BYTES,
    PROCESS_CPU,
    PROCESS_MEMORY,
    PROCESS_MOST_FILES,
    PROCESS_OPEN_FILES,
    PROMETHEUS,
    RELOADED,
    UP,
)
from dstk_observability.promql import Family, jobs_of
from dstk_observability.trials.shapes import Flat, Grows, Measures, Shape
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
from dstk_telemetry.registry.kinds import Kind, Label, Owner

CLUSTER = "dstk"
INSTANCES: Mapping[str, tuple[str, ...]] = {
    Owner.STORAGE: ("storage-1", "storage-2", "storage-3"),
    Owner.ROUTER: ("router-1", "router-2"),
    Owner.METRICS: ("metrics-1",),
    ETCD: ("etcd-1", "etcd-2", "etcd-3"),
    PROMETHEUS: ("prometheus",),
    ALERTMANAGER: ("alertmanager",),
}
"""The processes, by job."""

Labels = Mapping[str, str]
GIB = 1 << 30
OLD, NEW = "0.1.0", "0.2.0"
"""Versions; all run the old one."""
EXAMPLES: Mapping[str, tuple[str, ...]] = {
    "partition": ("1", "2", partitions.OTHERS),
    "rpc_service": ("dstk.v1.KeyValue",),
    "rpc_method": ("Get", "Put"),
    "reason": ("serverError",),
    "route": ("/",),
    "code": ("200",),
    "version": (OLD, NEW),
    "alertmanager": ("http://alertmanager:9093",),
    "integration": ("webhook",),
    "rule_group": ("dstk-nodes",),
}
"""Values of labels whose values the registry does not list."""

_OPERATIONS = {"ok": 100.0, "client": 0.01}
_GAUGES: Mapping[Family, float] = {
    UP: 1,
    RELOADED: 1,
    ETCD_HAS_LEADER: 1,
    ETCD_DATABASE_BYTES: 20e6,
    ETCD_QUOTA_BYTES: 2 * GIB,
    PROCESS_OPEN_FILES: 100,
    PROCESS_MOST_FILES: 65536,
    PROCESS_MEMORY: 200e6,
    commit.DISK_FREE: 600e9,
    commit.DISK_CAPACITY: 1e12,
    commit.DISK_RESERVE: 256 << 20,
    engine.ENGINE_BYTES: GIB,
    engine.ENGINE_TABLES: 3,
    clients.MAP_PARTITIONS: 6,
    clients.MAP_REVISION: 500,
    clients.LEASE_AGE: 1,
    partitions.SIZE: 100e6,
    cluster_partitions.SIZE: 100e6,
    feeds.CONNECTED: 1,
    feeds.SILENCE: 5,
    history.SIZE: 100e6,
    history.LIMIT: 2 * GIB,
    history.AGE: 30,
    replication.REPLICAS: 2,
    runtime.BUILD: 1,
    runtime.READY_PARTS: 1,
    runtime.STARTED: 1.7e9,
    runtime.LOOP_TASKS: 200,
}
_RATES: Mapping[Family, Callable[[Labels], float]] = {
    rpc.OPERATIONS: lambda labels: _OPERATIONS.get(labels["outcome"], 0),
    rpc.RPC_ENDED: lambda labels: _OPERATIONS.get(labels["outcome"], 0),
    clients.ETCD_REQUESTS: lambda labels: 1 if labels["result"] == "ok" else 0,
    partitions.READS: lambda _: 100,
    partitions.WRITES: lambda _: 100,
    replication.ELECTIONS: lambda _: 0,
    runtime.GC_SECONDS: lambda _: 0.001,
    PROCESS_CPU: lambda _: 0.3,
}
FAST = 0.002
"""What calls and disks take, in seconds."""


def series(family: Family) -> Iterator[Labels]:
    """The labels of each series of a family."""
    for job in jobs_of(family):
        for instance in INSTANCES.get(job, ()):
            options = [_options(label, instance, job) for label in family.labels]
            for combination in product(*options):
                own = dict(zip(family.label_names, combination, strict=True))
                yield {"cluster": CLUSTER, "job": str(job), "instance": instance, **own}


def _options(label: Label, instance: str, job: str) -> tuple[str, ...]:
    if label.name in ("peer", "To"):
        others = INSTANCES[Owner.STORAGE if job == Owner.METRICS else job]
        return tuple(name for name in others if name != instance)
    if label.name == "node":
        return (instance,)
    return label.values or EXAMPLES[label.name]


def healthy(family: Family, labels: Labels, traffic: float = 1) -> Shape | Measures:
    """How a series of a healthy cluster goes on. `traffic`: times the usual; 0: an idle cluster."""
    if family.kind is Kind.HISTOGRAM:
        return Measures(FAST, 10 * traffic)
    if family.kind is Kind.COUNTER:
        return Grows(traffic * _RATES[family](labels) if family in _RATES else 0)
    if family is partitions.LEADS:
        return Flat(float(labels["instance"] == "storage-1"))
    if labels.get("version") == NEW:
        return Flat(None)
    return Flat(_GAUGES.get(family, 0))
