"""Prometheus' configuration: what it scrapes, and where its alerts go.

It reads its targets from files beside it, so that the same configuration serves the compose stack and a local cluster.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from dstk_observability.documents import as_yaml
from dstk_observability.external import ALERTMANAGER, ETCD, JOBS
from dstk_telemetry.registry.kinds import Owner

SCRAPE_SECONDS = 15
CLUSTER = "dstk"
STORAGE_PORT, ROUTER_PORT, METRICS_PORT, ETCD_PORT, PROMETHEUS_PORT, ALERTMANAGER_PORT = (
    7180,
    7180,
    7180,
    2379,
    9090,
    9093,
)

Targets = Mapping[str, str]
"""Addresses, host:port, by the id of the process, which becomes the label `instance`."""

COMPOSE: Mapping[str, Targets] = {
    Owner.STORAGE: {f"storage-{number}": f"storage-{number}:{STORAGE_PORT}" for number in (1, 2, 3)},
    Owner.ROUTER: {f"router-{number}": f"router-{number}:{ROUTER_PORT}" for number in (1, 2)},
    Owner.METRICS: {"metrics": f"metrics:{METRICS_PORT}"},
    ETCD: {f"etcd-{number}": f"etcd-{number}:{ETCD_PORT}" for number in (1, 2, 3)},
    "prometheus": {"prometheus": f"localhost:{PROMETHEUS_PORT}"},
    ALERTMANAGER: {ALERTMANAGER: f"alertmanager:{ALERTMANAGER_PORT}"},
}
"""The targets of the compose stack, by job."""


def configuration(interval: int = SCRAPE_SECONDS) -> str:
    """prometheus.yml. `interval`: seconds between scrapes, and between evaluations of the rules."""
    content = {
        "global": {
            "scrape_interval": f"{interval}s",
            "scrape_timeout": f"{min(interval, 10)}s",
            "evaluation_interval": f"{interval}s",
        },
        "rule_files": ["rules/*.yml"],
        "alerting": {"alertmanagers": [{"file_sd_configs": _files(ALERTMANAGER)}]},
        "scrape_configs": [_job(name) for name in JOBS],
    }
    return as_yaml(content)


def _job(name: str) -> dict[str, Any]:
    return {"job_name": str(name), "file_sd_configs": _files(name)}


def _files(name: str) -> list[dict[str, Any]]:
    return [{"files": [f"targets/{name}.yml"], "refresh_interval": "30s"}]


def targets(addresses: Targets, cluster: str = CLUSTER) -> str:
    """A file of targets."""
    content: Sequence[Any] = [
        {"targets": [address], "labels": {"cluster": cluster, "instance": name}} for name, address in addresses.items()
    ]
    return as_yaml(content)


TARGETS: Mapping[str, Callable[[], str]] = {
    f"observability/prometheus/targets/{job}.yml": partial(targets, addresses) for job, addresses in COMPOSE.items()
}
"""What renders the files of targets of the compose stack, by path."""
