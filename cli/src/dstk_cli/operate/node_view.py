"""Storage nodes as a table and as JSON."""

from collections.abc import Callable, Iterable
from typing import Any

from rich.table import Table

from dstk.v1 import admin_pb2, topology_pb2
from dstk_cli.messages import as_json, word
from dstk_cli.operate import partition_view
from dstk_cli.tables import Columns, listing
from dstk_cli.untrusted import as_markup
from dstk_doctor.replication import has_answered
from dstk_service.figures import duration, size

Status = admin_pb2.NodeStatus

_STATES = topology_pb2.NodeState.DESCRIPTOR
_DESIRED_STATES = admin_pb2.DesiredState.DESCRIPTOR
_COLOURS = {"serving": "green", "gone": "bold red", "not answering": "bold red"}
_SPARE = "misrouted version up zone desired ~size replicas primaries"
_SPARE_OF_NODES = (*_SPARE.split(), "disk free", "address")


def node_json(status: Status) -> dict[str, Any]:
    """Returns a node as one object."""
    return {**as_json(status, flat="node"), "state": state(status)}


def desired_state(number: int) -> str:
    """Returns the name of a desired state."""
    return word(_DESIRED_STATES, number) or "unknown"


def state(status: Status) -> str:
    """Returns the state of a node in a word or two."""
    if not status.alive:
        return "gone"
    return word(_STATES, status.node.state) or "unknown" if has_answered(status) else "not answering"


def _state_cell(status: Status) -> str:
    name, no_etcd = state(status), has_answered(status) and not status.etcd_reachable
    replaced = bool(status.engine.replaced_reason and status.engine.kept)
    flags = {"read-only": status.read_only, "engine replaced": replaced, "no etcd": no_etcd}
    problems = [problem for problem, holds in flags.items() if holds]
    colour = "yellow" if problems else _COLOURS.get(name, "yellow")
    return f"[{colour}]{', '.join([name, *problems])}[/]"


def _desired_cell(status: Status) -> str:
    name = desired_state(status.desired_state)
    return "-" if name in {"active", "unknown"} else f"[yellow]{name}[/]"


def _figure(cell: Callable[[Status], str]) -> Callable[[Status], str]:
    """A figure that only the node itself knows."""
    return lambda status: cell(status) if has_answered(status) else "-"


_COLUMNS: Columns[Status] = {
    "id": lambda status: as_markup(status.node.id),
    "address": lambda status: as_markup(status.node.address) or "-",
    "zone": lambda status: as_markup(status.node.zone) or "-",
    "state": _state_cell,
    "desired": _desired_cell,
    ">primaries": _figure(lambda status: str(status.primaries)),
    ">replicas": _figure(lambda status: str(status.replicas)),
    ">~size": _figure(lambda status: size(status.estimated_bytes)),
    ">disk free": _figure(lambda status: size(status.free_bytes)),
    ">misrouted": _figure(lambda status: partition_view.failures(status.misrouted_reads, status.misrouted_writes)),
    ">up": _figure(lambda status: duration(status.uptime_s)),
    "version": lambda status: as_markup(status.node.version) or "-",
}


def nodes(shown: Iterable[Status]) -> Table:
    """Returns a table of the nodes."""
    return listing(_COLUMNS, shown, spare=_SPARE_OF_NODES)
