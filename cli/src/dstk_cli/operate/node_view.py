"""Storage nodes as a table and as JSON."""

from collections.abc import Iterable
from typing import Any

from rich.table import Table

from dstk.v1 import admin_pb2, topology_pb2
from dstk_cli.operate import failures
from dstk_cli.operate.tables import table
from dstk_cli.untrusted import as_markup
from dstk_doctor.replication import has_answered
from dstk_service.figures import duration, size

DESIRED_STATES = {
    admin_pb2.DESIRED_STATE_UNSPECIFIED: "unknown",
    admin_pb2.DESIRED_STATE_ACTIVE: "active",
    admin_pb2.DESIRED_STATE_CORDONED: "cordoned",
    admin_pb2.DESIRED_STATE_DRAINED: "drained",
    admin_pb2.DESIRED_STATE_REMOVED: "removed",
}
_STATES = {
    topology_pb2.NODE_STATE_STARTING: "starting",
    topology_pb2.NODE_STATE_SERVING: "serving",
    topology_pb2.NODE_STATE_LEAVING: "leaving",
}
_SPARE_OF_NODES = (
    "misrouted",
    "version",
    "up",
    "zone",
    "desired",
    "~size",
    "replicas",
    "primaries",
    "disk free",
    "address",
)


def as_json(status: admin_pb2.NodeStatus) -> dict[str, Any]:
    """Returns a node as one object."""
    node = status.node
    return {
        "id": node.id,
        "address": node.address,
        "zone": node.zone,
        "state": state(status),
        "version": node.version,
        "primaries": status.primaries,
        "replicas": status.replicas,
        "estimated_bytes": status.estimated_bytes,
        "free_bytes": status.free_bytes,
        "capacity_bytes": node.capacity_bytes,
        "read_only": status.read_only,
        "takes_deletions": status.takes_deletions,
        "disk_reserve_bytes": status.disk_reserve_bytes,
        "reclaimable_bytes": status.reclaimable_bytes,
        "uptime_s": status.uptime_s,
        "clock_ms": status.clock_ms,
        "etcd_reachable": status.etcd_reachable,
        "alive": status.alive,
        "desired_state": DESIRED_STATES[status.desired_state],
        "misrouted": {
            "reads": failures.as_json(status.misrouted_reads),
            "writes": failures.as_json(status.misrouted_writes),
        },
        "engine": _engine_json(status.engine),
    }


def _engine_json(engine: admin_pb2.EngineStatus) -> dict[str, Any]:
    reason, kept = engine.replaced_reason or None, list(engine.kept)
    return {"id": engine.id, "made_at_ms": engine.made_at_ms, "replaced_reason": reason, "kept": kept}


def state(status: admin_pb2.NodeStatus) -> str:
    """Returns the state of a node in a word or two."""
    if not status.alive:
        return "gone"
    return _STATES.get(status.node.state, "unknown") if has_answered(status) else "not answering"


def table_of(shown: Iterable[admin_pb2.NodeStatus]) -> Table:
    """Returns a table of the nodes."""
    made = table(
        "id",
        "address",
        "zone",
        "state",
        "desired",
        ">primaries",
        ">replicas",
        ">~size",
        ">disk free",
        ">misrouted",
        ">up",
        "version",
        spare=_SPARE_OF_NODES,
    )
    for status in shown:
        made.add_row(*_cells(status))
    return made


def _cells(status: admin_pb2.NodeStatus) -> list[str]:
    node, answered = status.node, has_answered(status)
    figures = ["-"] * 6
    if answered:
        sizes = size(status.estimated_bytes), size(status.free_bytes)
        misrouted = failures.total(status.misrouted_reads, status.misrouted_writes)
        figures = [str(status.primaries), str(status.replicas), *sizes, misrouted, duration(status.uptime_s)]
    place = [as_markup(node.id), as_markup(node.address) or "-", as_markup(node.zone) or "-"]
    return [
        *place,
        _state_cell(status),
        _desired_cell(status.desired_state),
        *figures,
        as_markup(node.version) or "-",
    ]


def _state_cell(status: admin_pb2.NodeStatus) -> str:
    word = state(status)
    problems = [
        *(["read-only"] if status.read_only else []),
        *(["engine replaced"] if status.engine.replaced_reason and status.engine.kept else []),
        *(["no etcd"] if has_answered(status) and not status.etcd_reachable else []),
    ]
    colour = {"serving": "green", "gone": "bold red", "not answering": "bold red"}.get(word, "yellow")
    return f"[{'yellow' if problems else colour}]{', '.join([word, *problems])}[/]"


def _desired_cell(state: admin_pb2.DesiredState.ValueType) -> str:
    word = DESIRED_STATES[state]
    return "-" if word in {"active", "unknown"} else f"[yellow]{word}[/]"
