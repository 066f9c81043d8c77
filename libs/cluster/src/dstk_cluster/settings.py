"""Settings that hold for the whole cluster, in etcd: those of the controller, and the desired state of single nodes.

/dstk/<cluster>/settings/controller   {"version", and the fields of ControllerSettings}; no key: the defaults
/dstk/<cluster>/settings/nodes/<id>   {"version", "desired_state", "replacement"}; no key: ACTIVE
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any, Final

from dstk_cluster import records
from dstk_cluster.port import Coordinator, Delete, Entry, Put, RevisionIs
from dstk_cluster.records import Keys
from dstk_keytypes import NodeId
from dstk_service.controller_settings import BOUNDS, ControllerSettings, InvalidSetting, check_name


class DesiredState(StrEnum):
    """The state that an operator wants a node to be in; the same as DesiredState in admin.proto."""

    ACTIVE = "active"
    CORDONED = "cordoned"
    DRAINED = "drained"
    REMOVED = "removed"

    @property
    def is_leaving(self) -> bool:
        """Whether the node's replicas move to other nodes."""
        return self in {DesiredState.DRAINED, DesiredState.REMOVED}


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """What an operator wants for a node. `replacement`: the preferred target for the replicas of a DRAINED or REMOVED node.

    Raises InvalidSetting for a replacement in another state.
    """

    desired_state: DesiredState = DesiredState.ACTIVE
    replacement: NodeId | None = None

    def __post_init__(self) -> None:
        if self.replacement is not None and not self.desired_state.is_leaving:
            raise InvalidSetting("replacement", self.replacement, "empty unless the node is drained or removed")


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """All settings of a cluster. `nodes`: the specs of the nodes that have one."""

    controller: ControllerSettings
    nodes: Mapping[NodeId, NodeSpec]

    def node(self, node: NodeId) -> NodeSpec:
        """The spec of a node; the default for one without a spec."""
        return self.nodes.get(node, NodeSpec())


DEFAULT_SETTINGS: Final = ClusterSettings(ControllerSettings(), {})


class SettingsStore:
    """Reads and changes the settings of one cluster. Every method raises CoordinatorUnavailable."""

    def __init__(self, coordinator: Coordinator, cluster: str) -> None:
        self._coordinator = coordinator
        self._root = Keys(cluster).root + b"settings/"
        self._controller = self._root + b"controller"
        self._nodes = self._root + b"nodes/"

    async def load(self) -> ClusterSettings:
        """Reads the current settings. Raises InvalidSetting if a value that was written by hand is outside its bounds."""
        entries, _ = await self._coordinator.range(self._root)
        controller = next((entry for entry in entries if entry.key == self._controller), None)
        specs = [entry for entry in entries if entry.key.startswith(self._nodes)]
        return ClusterSettings(_read_controller(controller), dict(self._read_nodes(specs)))

    async def configure(self, changes: Mapping[str, Any]) -> tuple[ControllerSettings, ControllerSettings]:
        """Changes the named settings of the controller. Returns the settings before and after. Raises InvalidSetting."""
        for name in changes:
            check_name(name)
        while True:
            entry = await self._coordinator.get(self._controller)
            old = _read_controller(entry)
            new = replace(old, **changes)
            compare = RevisionIs(self._controller, 0 if entry is None else entry.revision)
            put = Put(self._controller, records.dump(**asdict(new)))
            if (await self._coordinator.txn([compare], [put])).succeeded:
                return old, new

    async def set_node(self, node: NodeId, spec: NodeSpec) -> None:
        """Replaces the spec of a node. Raises InvalidSetting if the node is its own replacement."""
        if spec.replacement == node:
            raise InvalidSetting("replacement", node, f"another node than {str(node)!r} itself")
        key = self._nodes + node.encode()
        put = Put(key, records.dump(desired_state=spec.desired_state, replacement=spec.replacement))
        await self._coordinator.txn([], [Delete(key) if spec.desired_state is DesiredState.ACTIVE else put])

    def _read_nodes(self, entries: Sequence[Entry]) -> Iterator[tuple[NodeId, NodeSpec]]:
        for entry in entries:
            known = records.load(entry.value)
            replacement = NodeId(known["replacement"]) if known["replacement"] else None
            spec = NodeSpec(DesiredState(known["desired_state"]), replacement)
            yield NodeId(entry.key.removeprefix(self._nodes).decode()), spec


def _read_controller(entry: Entry | None) -> ControllerSettings:
    if entry is None:
        return ControllerSettings()
    known = records.load(entry.value)
    return ControllerSettings(**{name: known[name] for name in BOUNDS if name in known})
