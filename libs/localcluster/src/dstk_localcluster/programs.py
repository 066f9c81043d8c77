"""The programs that a plan consists of, with their command lines."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from dstk_localcluster import etcd as etcd_server
from dstk_localcluster.directory import ETCD, METRICS, ROUTER, ClusterDir, storage_name
from dstk_localcluster.environment import child_environment
from dstk_localcluster.plan import ClusterPlan
from dstk_localcluster.ports import HOST
from dstk_service import python


@dataclass(frozen=True, slots=True)
class Program:
    """How to run a process: `command` with `options`. The process gets exactly `environment`.

    `address` is the host:port at which it serves, `operations` the one of its /metrics, `page` the URL of its page for people;
    empty: it has none. `probe`: URL that answers 200 while it serves, of a program that watches the cluster; empty: it is a
    part of the cluster.
    """

    name: str
    address: str
    command: tuple[str, ...]
    options: tuple[str, ...]
    log: Path
    environment: Mapping[str, str] = field(default_factory=child_environment)
    operations: str = ""
    page: str = ""
    probe: str = ""

    @property
    def argv(self) -> tuple[str, ...]:
        """The whole command line."""
        return *self.command, *self.options

    def with_variables(self, variables: Mapping[str, str]) -> "Program":
        """Returns the program with these variables added to its environment."""
        return replace(self, environment={**self.environment, **variables})


@dataclass(frozen=True, slots=True)
class ClusterPrograms:
    """The programs of a cluster, in the order in which they start. `rest`: those without which it serves."""

    etcd: Program
    storages: Sequence[Program]
    router: Program
    rest: Sequence[Program]


def etcd(directory: ClusterDir, plan: ClusterPlan) -> Program:
    """Returns the coordinator: an etcd of one member. Raises `LocalClusterError` when no etcd is installed."""
    program, *options = etcd_server.argv(directory.data(ETCD), plan.etcd_port, plan.etcd_peer_port)
    address = f"{HOST}:{plan.etcd_port}"
    return Program(ETCD, address, (program,), tuple(options), directory.log(ETCD), operations=address)


def storages(directory: ClusterDir, plan: ClusterPlan) -> list[Program]:
    """Returns the storage nodes, by number."""
    return [_storage(directory, plan, number) for number in range(1, plan.nodes + 1)]


def router(directory: ClusterDir, plan: ClusterPlan) -> Program:
    """Returns the gateway."""
    return _service(directory, plan, "dstk_router", ROUTER, (plan.router_port, plan.router_operations_port))


def metrics(directory: ClusterDir, plan: ClusterPlan, name: str = METRICS) -> Program:
    """Returns a metrics service, which also serves the console."""
    console = f"{HOST}:{plan.metrics.console}"
    options = ("--console-listen", console, "--data-dir", str(directory.data(name)))
    ports = plan.metrics.service, plan.metrics.operations
    program = _service(directory, plan, "dstk_metrics", name, ports, *options)
    return replace(program, page=f"http://{console}")


def _storage(directory: ClusterDir, plan: ClusterPlan, number: int) -> Program:
    name, port = storage_name(number), plan.storage_ports[number - 1]
    ports = port, plan.storage_operations_ports[number - 1]
    options = ("--data-dir", str(directory.data(name)), "--advertise", f"{HOST}:{port}", "--node-id", name)
    bootstrap = ("--bootstrap-expect", str(plan.nodes), "--bootstrap-splits", json.dumps(plan.splits))
    return _service(directory, plan, "dstk_storage", name, ports, *options, *bootstrap)


def _service(
    directory: ClusterDir, plan: ClusterPlan, module: str, name: str, ports: tuple[int, int], *more: str
) -> Program:
    """`ports`: of the service, and of its operations server."""
    address, operations = (f"{HOST}:{port}" for port in ports)
    where = ("--listen", address, "--operations-listen", operations, "--etcd", f"{HOST}:{plan.etcd_port}")
    options = (*where, "--cluster", plan.cluster, *more)
    return Program(name, address, python.command(module), options, directory.log(name), operations=operations)
