"""Situations for the controller to plan for, and its plans in brief."""

from collections.abc import Mapping
from typing import Any

from dstk_cluster.model import NodeInfo, PartitionInfo
from dstk_cluster.overrides import Override, present_nodes
from dstk_keytypes import NodeId, PartitionId
from dstk_service.controller_settings import MIB, ControllerSettings
from dstk_storage.adapters.memory_cluster import MemoryCluster
from dstk_storage.domain.controller.model import Load, Situation, Step
from dstk_storage.domain.controller.planner import make_plan
from kit.map_entries import node_info

NOW = 1_700_000_000_000
HOUR = 3_600_000
QUIET = Load(10 * MIB, 10_000, 10.0, 10.0, 10.0)
N1, N2, N3, N4 = (NodeId(f"n{number}") for number in range(1, 5))
P1, P2 = PartitionId(1), PartitionId(2)
FOUR = [node_info(f"n{number}") for number in range(1, 5)]


def situation(
    nodes: list[NodeInfo],
    partitions: list[PartitionInfo],
    loads: Mapping[int, Load] | None = None,
    settings: Mapping[str, Any] | None = None,
    **more: Any,
) -> Situation:
    known: Mapping[int, Load] = dict.fromkeys((info.id for info in partitions), QUIET) if loads is None else loads
    cluster = MemoryCluster.of(nodes, partitions, known)
    specs = {NodeId(name): spec for name, spec in more.pop("specs", {}).items()}
    return Situation(cluster.map, NOW, ControllerSettings(**(settings or {})), loads=cluster.loads, specs=specs, **more)


def plan(state: Situation) -> list[Step]:
    return list(make_plan(state).steps)


def briefly(steps: list[Step]) -> list[tuple[str, int, str | None]]:
    return [(step.action, step.partition, step.node) for step in steps]


def chosen(state: Situation, action: str, partition: int = 1, subject: str | None = None, age: int = 0) -> Situation:
    made = Override(
        PartitionId(partition), action, NOW - age, NodeId(subject) if subject else None, present_nodes(state.map)
    )
    return with_(state, overrides=(*state.overrides, made))


def with_(state: Situation, **changes: Any) -> Situation:
    fields = {name: getattr(state, name) for name in Situation.__dataclass_fields__}
    return Situation(**{**fields, **changes})
