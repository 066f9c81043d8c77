"""What people want of the cluster: the controller's settings, and wishes about single nodes.

/dstk/<cluster>/settings/controller   {"version", and the fields of ControllerSettings}
/dstk/<cluster>/settings/nodes/<id>   {"version", "wish", "replacement"}; no key: nothing in particular
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum
from typing import Any, Final

from dstk_cluster import records
from dstk_cluster.port import Compare, Coordinator, Delete, Entry, Put
from dstk_cluster.records import Keys
from dstk_keytypes import InvalidInput, NodeId

MIB: Final = 1 << 20


class InvalidSetting(InvalidInput):
    """Not a setting, or a value out of its bounds."""


@dataclass(frozen=True, slots=True)
class ControllerSettings:
    """How the controller decides. Raises InvalidSetting for what is out of the bounds that admin.proto promises."""

    paused: bool = False
    replicas: int = 3
    gone_seconds: float = 300.0
    split_bytes: int = 256 * MIB
    split_operations: float = 20_000.0
    merge_share: float = 0.25
    moves_at_once: int = 2
    compare_hours: float = 24.0
    compare_bytes_per_second: int = 2 * MIB

    def __post_init__(self) -> None:
        if not isinstance(self.paused, bool):
            raise InvalidSetting("paused", self.paused, "true or false")
        for name, (kind, low, high, limit) in _BOUNDS.items():
            value = getattr(self, name)
            known = isinstance(value, int if kind is int else int | float) and not isinstance(value, bool)
            if not known or not math.isfinite(value) or not low <= value <= high:
                raise InvalidSetting(name, value, limit)


_BOUNDS: Final[Mapping[str, tuple[type, float, float, str]]] = {
    "replicas": (int, 1, 7, "a number in 1..7"),
    "gone_seconds": (float, 1, 86_400, "1..86400 seconds"),
    "split_bytes": (int, MIB, 1 << 40, "1 MiB..1 TiB (1048576..1099511627776)"),
    "split_operations": (float, 100, 1e9, "100..10^9 operations a second"),
    "merge_share": (float, 0, 0.5, "0 (never)..0.5"),
    "moves_at_once": (int, 1, 32, "a number in 1..32"),
    "compare_hours": (float, 0, 8760, "0 (never)..8760 hours"),
    "compare_bytes_per_second": (int, 1 << 16, 1 << 30, "64 KiB..1 GiB (65536..1073741824)"),
}

NAMES: Final = tuple(field.name for field in fields(ControllerSettings))


class Wish(StrEnum):
    """What an operator wants of a node; see NodeWish in admin.proto."""

    NONE = "none"
    CORDONED = "cordoned"
    DRAINED = "drained"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class NodeWish:
    """A wish. `replacement`: the node that gets first what leaves a DRAINED or REMOVED one. Raises InvalidSetting."""

    wish: Wish = Wish.NONE
    replacement: NodeId | None = None

    def __post_init__(self) -> None:
        if self.replacement is not None and self.wish not in {Wish.DRAINED, Wish.REMOVED}:
            raise InvalidSetting("replacement", self.replacement, "empty unless the node is drained or removed")


@dataclass(frozen=True, slots=True)
class Wanted:
    """All that people want, at one moment."""

    controller: ControllerSettings
    wishes: Mapping[NodeId, NodeWish]

    def of(self, node: NodeId) -> NodeWish:
        """The wish about a node."""
        return self.wishes.get(node, NodeWish())


NOTHING_WANTED: Final = Wanted(ControllerSettings(), {})


class SettingsStore:
    """Reads and changes the settings of one cluster. Raises CoordinatorUnavailable."""

    def __init__(self, coordinator: Coordinator, cluster: str) -> None:
        self._coordinator = coordinator
        self._root = Keys(cluster).root + b"settings/"
        self._controller = self._root + b"controller"
        self._nodes = self._root + b"nodes/"

    async def load(self) -> Wanted:
        """As it is now. Raises InvalidSetting for settings that somebody wrote by hand and wrong."""
        entry = await self._coordinator.get(self._controller)
        wishes, _ = await self._coordinator.range(self._nodes)
        return Wanted(_read_controller(entry), dict(self._wishes(wishes)))

    async def configure(self, changes: Mapping[str, Any]) -> tuple[ControllerSettings, ControllerSettings]:
        """Changes the named settings and leaves the others: as they were, and as they are. Raises InvalidSetting."""
        for name in changes:
            if name not in NAMES:
                raise InvalidSetting("fields", name, f"one of {', '.join(NAMES)}")
        while True:
            entry = await self._coordinator.get(self._controller)
            old = _read_controller(entry)
            new = replace(old, **changes)
            compare = Compare(self._controller, 0 if entry is None else entry.revision)
            put = Put(self._controller, records.dump(**asdict(new)))
            if (await self._coordinator.txn([compare], [put])).succeeded:
                return old, new

    async def wish(self, node: NodeId, wish: NodeWish) -> None:
        """Replaces the wish about a node. Raises InvalidSetting."""
        if wish.replacement == node:
            raise InvalidSetting("replacement", node, f"another node than {str(node)!r} itself")
        key = self._nodes + node.encode()
        put = Put(key, records.dump(wish=wish.wish, replacement=wish.replacement))
        await self._coordinator.txn([], [Delete(key) if wish.wish is Wish.NONE else put])

    def _wishes(self, entries: Iterable[Entry]) -> Iterable[tuple[NodeId, NodeWish]]:
        for entry in entries:
            known = records.load(entry.value)
            replacement = NodeId(known["replacement"]) if known["replacement"] else None
            yield NodeId(entry.key.removeprefix(self._nodes).decode()), NodeWish(Wish(known["wish"]), replacement)


def _read_controller(entry: Entry | None) -> ControllerSettings:
    if entry is None:
        return ControllerSettings()
    known = records.load(entry.value)
    return ControllerSettings(**{name: known[name] for name in NAMES if name in known})
