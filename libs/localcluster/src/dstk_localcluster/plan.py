"""What a local cluster consists of: decided once, remembered in cluster.json, kept from start to start."""

from collections.abc import Callable, Collection
from dataclasses import astuple, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Annotated

from annotated_types import Interval, Len, Predicate

from dstk_keytypes import InvalidInput
from dstk_localcluster.errors import InvalidSpec, LocalClusterError
from dstk_localcluster.spec import DEFAULT_NODES, MAX_NODES, MAX_PORT, ClusterSpec, ascending, check
from dstk_service.jsonfile import DamagedFile, JsonFile, UnreadableFile

_NAME = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")
_MAX_NAME = 64


def _is_name(text: str) -> bool:
    return 0 < len(text) <= _MAX_NAME and set(text) <= _NAME


def _are_ascending_keys(splits: tuple[str, ...]) -> bool:
    try:
        return splits == ascending(splits)
    except InvalidInput:
        return False


Port = Annotated[int, Interval(ge=0, le=MAX_PORT)]
ClusterName = Annotated[str, Predicate(_is_name)]
Splits = Annotated[tuple[str, ...], Predicate(_are_ascending_keys)]


@dataclass(frozen=True, slots=True)
class MetricsPorts:
    """Ports of the metrics service: of its calls, of its web page, and of its /metrics."""

    service: Port = 0
    console: Port = 0
    operations: Port = 0


@dataclass(frozen=True, slots=True)
class ObservabilityPorts:
    """Ports of the programs that watch a cluster. Those after `jaeger`, which has its page, are Jaeger's too."""

    prometheus: Port = 0
    alertmanager: Port = 0
    jaeger: Port = 0
    jaeger_grpc: Port = 0
    jaeger_health: Port = 0
    otlp_http: Port = 0
    otlp_grpc: Port = 0


@dataclass(frozen=True, slots=True)
class ClusterPlan:
    """A local cluster. Ports are of the loopback address; `splits` are keys as `Key.parse` reads them, ascending.

    Operations ports are those of /metrics. `resolve` adds the ports that a plan of an older version lacks.
    """

    cluster: ClusterName
    etcd_port: Port
    etcd_peer_port: Port
    router_port: Port
    storage_ports: Annotated[tuple[Port, ...], Len(1, MAX_NODES)]
    splits: Splits
    router_operations_port: Port = 0
    storage_operations_ports: Annotated[tuple[Port, ...], Len(0, MAX_NODES)] = ()
    metrics: MetricsPorts = MetricsPorts()
    observability: ObservabilityPorts = ObservabilityPorts()

    @property
    def nodes(self) -> int:
        """Number of storage processes."""
        return len(self.storage_ports)


FILE = JsonFile(ClusterPlan, version=1)


def load(path: Path) -> ClusterPlan | None:
    """Returns the remembered plan; None when the directory holds no cluster. Raises OSError, and `LocalClusterError` for a file
    that is damaged or of another version.
    """
    try:
        return FILE.read(path)
    except FileNotFoundError:
        return None
    except DamagedFile as error:
        raise LocalClusterError(str(error), "use another data directory, or repair the file") from error
    except UnreadableFile as error:
        raise LocalClusterError(str(error), "use that version, or another data directory") from error


def save(path: Path, plan: ClusterPlan) -> None:
    """Remembers the plan. Raises OSError."""
    FILE.write(path, plan)


def default_splits(nodes: int) -> tuple[str, ...]:
    """Returns borders that spread plain text keys evenly by their first letter, one partition a node."""
    return tuple(sorted({chr(ord("a") + 26 * i // nodes) for i in range(1, nodes)}))


def resolve(
    spec: ClusterSpec, saved: ClusterPlan | None, is_free: Callable[[int], bool], pick: Callable[[Collection[int]], int]
) -> ClusterPlan:
    """Returns the plan to run: the spec, over what is remembered, over defaults; every port is free.

    Raises `InvalidSpec` for a spec that the saved plan rules out, and `LocalClusterError` for a port that is taken.
    """
    check(spec)
    plan = saved or _new(spec)
    if saved is not None:
        _check_kept(spec, saved)
    if spec.nodes:
        plan = replace(plan, storage_ports=(*plan.storage_ports, *[0] * (spec.nodes - plan.nodes)))
    if spec.router_port:
        _check_free(spec.router_port, "router", is_free)
        plan = replace(plan, router_port=spec.router_port)
    if spec.console_port:
        _check_free(spec.console_port, "console", is_free)
        plan = replace(plan, metrics=replace(plan.metrics, console=spec.console_port))
    return _with_ports(plan, is_free, pick)


def difference(spec: ClusterSpec, running: ClusterPlan, *, is_watched: bool) -> str:
    """Returns how a running cluster differs from the spec, in words; empty: it does not. `is_watched`: by any program."""
    if spec.nodes and spec.nodes != running.nodes:
        return f"it has {running.nodes} storage nodes, not {spec.nodes}"
    if spec.router_port and spec.router_port != running.router_port:
        return f"its router listens on {running.router_port}, not {spec.router_port}"
    if spec.console_port and spec.console_port != running.metrics.console:
        return f"its console listens on {running.metrics.console}, not {spec.console_port}"
    if spec.splits and ascending(spec.splits) != running.splits:
        return "it was created with other borders between its partitions"
    if spec.observability and not is_watched:
        return "it runs without Prometheus, Alertmanager and Jaeger"
    return ""


def _new(spec: ClusterSpec) -> ClusterPlan:
    nodes = spec.nodes or DEFAULT_NODES
    return ClusterPlan(spec.cluster, 0, 0, 0, (0,) * nodes, ascending(spec.splits) or default_splits(nodes))


def _check_free(port: int, of: str, is_free: Callable[[int], bool]) -> None:
    if not is_free(port):
        why = f"port {port} is taken by another program, or not yours to take"
        raise LocalClusterError(why, f"give another port for the {of}, or none")


def _check_kept(spec: ClusterSpec, saved: ClusterPlan) -> None:
    if spec.nodes and spec.nodes < saved.nodes:
        why = f"{spec.nodes} is too few: this data directory holds {saved.nodes} storage nodes, each with data"
        raise InvalidSpec("nodes", why, f"give at least {saved.nodes} or none, or use another data directory")
    if spec.splits and ascending(spec.splits) != saved.splits:
        why = "shapes a new cluster, and this data directory has one already"
        raise InvalidSpec(
            "splits", why, "split the running cluster with `dstk split KEY`, or use another data directory"
        )


def _with_ports(
    plan: ClusterPlan, is_free: Callable[[int], bool], pick: Callable[[Collection[int]], int]
) -> ClusterPlan:
    """Keeps the ports that are still free and picks others for the rest."""
    chosen: list[int] = []
    operations = (*plan.storage_operations_ports, *[0] * plan.nodes)[: plan.nodes]
    single = plan.router_port, plan.etcd_port, plan.etcd_peer_port, plan.router_operations_port
    metrics, observability = astuple(plan.metrics), astuple(plan.observability)
    for port in (*single, *plan.storage_ports, *operations, *metrics, *observability):
        keep = port and port not in chosen and is_free(port)
        chosen.append(port if keep else pick(chosen))
    ports = iter(chosen)
    router, etcd, peer, router_operations = islice(ports, len(single))
    return replace(
        plan,
        router_port=router,
        etcd_port=etcd,
        etcd_peer_port=peer,
        storage_ports=tuple(islice(ports, plan.nodes)),
        router_operations_port=router_operations,
        storage_operations_ports=tuple(islice(ports, plan.nodes)),
        metrics=MetricsPorts(*islice(ports, len(metrics))),
        observability=ObservabilityPorts(*ports),
    )
