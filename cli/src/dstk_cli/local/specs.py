"""Which programs a plan consists of, with their command lines."""

import json
from functools import partial

from dstk_cli.local import environment, health
from dstk_cli.local.child import ChildSpec
from dstk_cli.local.etcd import argv
from dstk_cli.local.layout import ETCD, ROUTER, ClusterDir, storage_name
from dstk_cli.local.plan import Plan
from dstk_cli.local.ports import HOST
from dstk_cli.local.state import Home
from dstk_service import python


def etcd(directory: ClusterDir, plan: Plan) -> ChildSpec:
    """The coordinator: a cluster of one member."""
    address = f"{HOST}:{plan.etcd_port}"
    command = argv(directory.data(ETCD), plan.etcd_port, plan.etcd_peer_port)
    return _spec(directory, ETCD, address, command)


def storages(directory: ClusterDir, plan: Plan) -> list[ChildSpec]:
    """The storage nodes, by number."""
    return [_storage(directory, plan, number) for number in range(1, plan.nodes + 1)]


def router(directory: ClusterDir, plan: Plan) -> ChildSpec:
    """The gateway."""
    return _service(directory, plan, "dstk_router", ROUTER, plan.router_port)


def _storage(directory: ClusterDir, plan: Plan, number: int) -> ChildSpec:
    name, port = storage_name(number), plan.storage_ports[number - 1]
    options = ("--data-dir", str(directory.data(name)), "--advertise", f"{HOST}:{port}", "--node-id", name)
    bootstrap = ("--bootstrap-expect", str(plan.nodes), "--bootstrap-splits", json.dumps(plan.splits))
    return _service(directory, plan, "dstk_storage", name, port, *options, *bootstrap)


def _service(directory: ClusterDir, plan: Plan, module: str, name: str, port: int, *options: str) -> ChildSpec:
    address = f"{HOST}:{port}"
    etcd_address = f"{HOST}:{plan.etcd_port}"
    common = ("--listen", address, "--etcd", etcd_address, "--cluster", plan.cluster)
    return _spec(directory, name, address, (*python.command(module), *common, *options))


def _spec(directory: ClusterDir, name: str, address: str, argv: tuple[str, ...]) -> ChildSpec:
    serving = partial(health.until_serving, address)
    return ChildSpec(
        name, address, argv, directory.log(name), serving, Home.of(directory.root), environment.of_children()
    )
