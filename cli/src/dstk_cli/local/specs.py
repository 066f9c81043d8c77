"""Which programs a plan consists of, with their command lines."""

import json
import sys
from functools import partial

from dstk_cli.local import health
from dstk_cli.local.child import ChildSpec
from dstk_cli.local.etcd import argv
from dstk_cli.local.layout import ETCD, ROUTER, ClusterDir, storage_name
from dstk_cli.local.plan import Plan
from dstk_cli.local.ports import HOST


def etcd(directory: ClusterDir, plan: Plan) -> ChildSpec:
    """The coordinator: a cluster of one member."""
    address = f"{HOST}:{plan.etcd_port}"
    command = argv(directory.data(ETCD), plan.etcd_port, plan.etcd_peer_port)
    return ChildSpec(ETCD, address, command, directory.log(ETCD), partial(health.until_serving, address))


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
    argv = (sys.executable, "-m", module, *common, *options)
    return ChildSpec(name, address, argv, directory.log(name), partial(health.until_serving, address))
