"""What a local cluster consists of: decided once, remembered in cluster.json, kept from `up` to `up`."""

import json
import re
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from dstk_cli.errors import USAGE, CliError
from dstk_cli.local.layout import write_atomic
from dstk_keytypes import InvalidInput, Key

FORMAT = 1
DEFAULT_NODES = 3
MAX_NODES = 32
MAX_PORT = 65_535
_CLUSTER = re.compile("[a-z0-9-]{1,64}")


@dataclass(frozen=True, slots=True)
class Request:
    """What the caller asks for; None or empty: as it was, or the default for a new cluster.

    `cluster` names a new cluster; an existing one keeps its name.
    """

    nodes: int | None = None
    router_port: int | None = None
    splits: tuple[str, ...] = ()
    cluster: str = "local"


@dataclass(frozen=True, slots=True)
class Plan:
    """A local cluster. Ports are of the loopback address; splits are keys as `Key.parse` reads them, ascending."""

    cluster: str
    etcd_port: int
    etcd_peer_port: int
    router_port: int
    storage_ports: tuple[int, ...]
    splits: tuple[str, ...]

    @property
    def nodes(self) -> int:
        """Number of storage processes."""
        return len(self.storage_ports)


def load(path: Path) -> Plan | None:
    """The remembered plan; None for a directory without a cluster.

    Raises `CliError` when the file cannot be read as a plan of this version.
    """
    if not path.exists():
        return None
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        if fields.pop("format") != FORMAT:
            raise CliError(f"{path} was written by another version of dstk", "use that version, or another --data-dir")
        fields["storage_ports"], fields["splits"] = tuple(fields["storage_ports"]), tuple(fields["splits"])
        return _sound(Plan(**fields))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, InvalidInput) as error:
        raise CliError(
            f"{path} is damaged: {error}", "use another --data-dir, or put the file back in order"
        ) from error


def _sound(plan: Plan) -> Plan:
    """The plan that was read, if it can be one. Raises ValueError or InvalidInput."""
    ports = (plan.etcd_port, plan.etcd_peer_port, plan.router_port, *plan.storage_ports)
    if wrong := [port for port in ports if type(port) is not int or not 0 <= port <= MAX_PORT]:
        raise ValueError(f"port {wrong[0]!r} is none")
    if not 1 <= plan.nodes <= MAX_NODES:
        raise ValueError(f"it has {plan.nodes} storage ports, not 1..{MAX_NODES}")
    if not isinstance(plan.cluster, str) or not _CLUSTER.fullmatch(plan.cluster):
        raise ValueError(f"cluster {plan.cluster!r} is no name")
    if plan.splits != _sorted(plan.splits):
        raise ValueError("its splits are not ascending")
    return plan


def save(path: Path, plan: Plan) -> None:
    """Remembers the plan."""
    write_atomic(path, json.dumps({"format": FORMAT, **asdict(plan)}, indent=2) + "\n", lasting=True)


def default_splits(nodes: int) -> tuple[str, ...]:
    """Borders that spread keys of plain text evenly by their first letter, one partition a node."""
    return tuple(sorted({chr(ord("a") + 26 * i // nodes) for i in range(1, nodes)}))


def resolve(
    request: Request, saved: Plan | None, is_free: Callable[[int], bool], pick: Callable[[Collection[int]], int]
) -> Plan:
    """The plan to run: what is asked for, over what is remembered, over defaults; every port free.

    Raises `CliError` for what cannot be had.
    """
    _check(request, saved)
    plan = saved or _new(request)
    if request.nodes:
        plan = replace(plan, storage_ports=(*plan.storage_ports, *[0] * (request.nodes - plan.nodes)))
    if request.router_port:
        _check_port(request.router_port, is_free)
        plan = replace(plan, router_port=request.router_port)
    return _with_ports(plan, is_free, pick)


def differs(request: Request, running: Plan) -> str:
    """How a running cluster differs from what is asked for; empty: it does not."""
    if request.nodes and request.nodes != running.nodes:
        return f"it has {running.nodes} storage nodes, not {request.nodes}"
    if request.router_port and request.router_port != running.router_port:
        return f"its router listens on {running.router_port}, not {request.router_port}"
    if request.splits and _sorted(request.splits) != running.splits:
        return "it was created with other --split-at keys"
    return ""


def _new(request: Request) -> Plan:
    nodes = request.nodes or DEFAULT_NODES
    splits = _sorted(request.splits) or default_splits(nodes)
    return Plan(request.cluster, 0, 0, 0, (0,) * nodes, splits)


def _sorted(splits: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted(set(splits), key=Key.parse))


def _check(request: Request, saved: Plan | None) -> None:
    if request.nodes is not None and not 1 <= request.nodes <= MAX_NODES:
        raise CliError(f"--nodes {request.nodes} is out of bounds", f"give 1..{MAX_NODES}", USAGE)
    _sorted(request.splits)
    if saved is None:
        return
    if request.nodes and request.nodes < saved.nodes:
        why = f"this data directory holds {saved.nodes} storage nodes, each with data; {request.nodes} are too few"
        raise CliError(why, f"leave --nodes {request.nodes} out, or use another --data-dir", USAGE)
    if request.splits and _sorted(request.splits) != saved.splits:
        why = "--split-at shapes a new cluster, and this data directory has one already"
        raise CliError(why, "use `dstk split KEY` on the running cluster, or another --data-dir", USAGE)


def _check_port(port: int, is_free: Callable[[int], bool]) -> None:
    if not 1 <= port <= MAX_PORT:
        raise CliError(f"--router-port {port} is out of bounds", "give 1..65535", USAGE)
    if not is_free(port):
        why = f"port {port} is taken by another program, or not for you to take"
        raise CliError(why, "give another --router-port, or leave it out")


def _with_ports(plan: Plan, is_free: Callable[[int], bool], pick: Callable[[Collection[int]], int]) -> Plan:
    chosen: list[int] = []
    for port in (plan.router_port, plan.etcd_port, plan.etcd_peer_port, *plan.storage_ports):
        keep = port and port not in chosen and is_free(port)
        chosen.append(port if keep else pick(chosen))
    router, etcd, peer, *storage = chosen
    return replace(plan, router_port=router, etcd_port=etcd, etcd_peer_port=peer, storage_ports=tuple(storage))
