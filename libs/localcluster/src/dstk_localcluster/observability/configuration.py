"""The files that the programs read: copies of those that ship, and the addresses that Prometheus scrapes."""

import json
from collections.abc import Collection, Mapping
from pathlib import Path

from dstk_localcluster.directory import ALERTMANAGER, ETCD, METRICS, PROMETHEUS, ROUTER, ClusterDir, storage_name
from dstk_localcluster.plan import ClusterPlan
from dstk_localcluster.ports import HOST

SHIPPED = Path(__file__).with_name("shipped")


def write(directory: ClusterDir, plan: ClusterPlan, started: Collection[str]) -> None:
    """Writes all files into the directories of the programs, over those of the last start. `started`: the names of the
    processes that run besides nodes, router and etcd. Raises OSError.
    """
    for source in SHIPPED.rglob("*.yml"):
        _write(directory.root / source.relative_to(SHIPPED), source.read_text())
    for job, ports in targets(plan, started).items():
        _write(directory.data(PROMETHEUS) / "targets" / f"{job}.yml", _as_yaml(plan.cluster, ports))


def targets(plan: ClusterPlan, started: Collection[str]) -> dict[str, Mapping[str, int]]:
    """Returns the port of each process that is scraped, by scrape job and by the name of the process."""
    of_storage = {storage_name(number): port for number, port in enumerate(plan.storage_operations_ports, 1)}
    own = {
        METRICS: plan.metrics.operations,
        PROMETHEUS: plan.observability.prometheus,
        ALERTMANAGER: plan.observability.alertmanager,
    }
    return {
        "storage": of_storage,
        ROUTER: {ROUTER: plan.router_operations_port},
        ETCD: {ETCD: plan.etcd_port},
        **{name: {name: port} if name in started else {} for name, port in own.items()},
    }


def _as_yaml(cluster: str, ports: Mapping[str, int]) -> str:
    """A file of targets: JSON, which is YAML too."""
    content = [
        {"targets": [f"{HOST}:{port}"], "labels": {"cluster": cluster, "instance": name}}
        for name, port in ports.items()
    ]
    return json.dumps(content, indent=2) + "\n"


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
