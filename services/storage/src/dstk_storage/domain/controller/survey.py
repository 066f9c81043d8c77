"""What follows from a situation before anything is decided: which nodes count, and how each partition stands."""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from dstk_cluster.model import NodeState, PartitionInfo
from dstk_cluster.settings import DesiredState, NodeSpec
from dstk_keytypes import NodeId
from dstk_storage.domain.controller.memory import Memory
from dstk_storage.domain.controller.model import Load, Situation

BASE_BYTES: Final = 1 << 20
"""What a partition weighs beyond its bytes: empty ones are spread too, and of small ones not the last byte counts."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A partition and its replicas by what is to become of them. `staying`: may stay where they are; `leaving`: their nodes
    are to be emptied; `lost`: their nodes are gone for good, as far as anybody can tell. `wanted`: how many are to stay.
    """

    info: PartitionInfo
    staying: tuple[NodeId, ...]
    leaving: tuple[NodeId, ...]
    lost: tuple[NodeId, ...]
    wanted: int
    led: bool
    """Its primary is alive: only that one can do something about it."""
    load: Load | None

    @property
    def safe(self) -> tuple[NodeId, ...]:
        """Those that stay and have everything."""
        return tuple(node for node in self.staying if node in self.info.in_sync)

    @property
    def whole(self) -> bool:
        """All replicas stay, and have everything."""
        return not self.leaving and not self.lost and len(self.safe) == len(self.info.replicas)

    @property
    def weight(self) -> float:
        """In bytes."""
        return BASE_BYTES + (self.load.bytes if self.load else 0)

    @property
    def operations(self) -> float:
        """A second; 0 while they are not known."""
        return (self.load.operations or 0.0) if self.load else 0.0


class Survey:
    """See the module. Nothing of it changes."""

    def __init__(self, situation: Situation) -> None:
        self.situation, self.map, self.settings = situation, situation.map, situation.settings
        self.memory = Memory(situation)
        self.alive = frozenset(self.map.nodes)
        named = {node for info in self.map.partitions for node in info.replicas} | set(situation.gone)
        self.lost = frozenset(node for node in named - self.alive if self._is_lost(node))
        self.away = frozenset(named - self.alive - self.lost)
        self.usable = frozenset(node for node in self.alive if self._is_usable(node))
        self.restless = self.away | {n for n, info in self.map.nodes.items() if info.state is not NodeState.SERVING}
        self.standings = tuple(self._standing(info) for info in self.map.partitions)
        self.by_id = {standing.info.id: standing for standing in self.standings}

    def spec(self, node: NodeId) -> NodeSpec:
        """What an operator wants for the node."""
        return self.situation.specs.get(node, NodeSpec())

    def zone(self, node: NodeId) -> str:
        """Where it stands; empty for one that is not alive."""
        info = self.map.nodes.get(node)
        return "" if info is None else info.zone

    def replacements(self, standing: Standing) -> set[NodeId]:
        """The nodes that were named to take the place of one that the partition leaves."""
        specs = (self.spec(node) for node in (*standing.leaving, *standing.lost))
        return {spec.replacement for spec in specs if spec.replacement is not None}

    def stalled(self, standing: Standing, node: NodeId) -> bool:
        """Alive, and yet its primary has not heard of the replica for as long as makes a node gone."""
        follower = standing.load.followers.get(node) if standing.load else None
        silent = follower is not None and follower.silent_seconds >= self.settings.gone_seconds
        return silent and node in self.alive and node not in standing.info.in_sync

    def surplus(self, standing: Standing) -> NodeId | None:
        """The replica that the partition has too much: the one that another was to replace, else the one on the fullest node,
        in a zone that has another one if there is such. Never one on a cordoned node: that one keeps what it has. Never the
        primary but when it was to be replaced.
        """
        extra = len(standing.staying) > self.settings.replicas
        if not extra or self.memory.surplus_is_overridden(standing.info.id):
            return None
        removable = [node for node in standing.staying if self.spec(node).desired_state is DesiredState.ACTIVE]
        for new, old in self.memory.successions(standing.info.id):
            if new in standing.staying and old in removable:
                return old
        others = [node for node in removable if node != standing.info.primary]
        zones = Counter(map(self.zone, standing.staying))
        return max(others, key=lambda n: (zones[self.zone(n)] > 1, self.stored[n], n), default=None)

    @cached_property
    def stored(self) -> Counter[NodeId]:
        """What each node holds, in bytes."""
        stored: Counter[NodeId] = Counter()
        for standing in self.standings:
            for node in standing.info.replicas:
                stored[node] += round(standing.weight)
        return stored

    def because(self, node: NodeId) -> str:
        """Why the node's replicas do not count any more."""
        state = self.spec(node).desired_state
        if state is DesiredState.REMOVED or (state is DesiredState.DRAINED and node not in self.lost):
            return f"{node} is to be {state}"
        gone, limit = self.situation.gone.get(node, 0.0), self.settings.gone_seconds
        return f"{node} has been gone for {gone:.0f} s, limit {limit:g} s"

    def _is_lost(self, node: NodeId) -> bool:
        gone = self.situation.gone.get(node, 0.0)
        return gone >= self.settings.gone_seconds or self.spec(node).desired_state is DesiredState.REMOVED

    def _is_usable(self, node: NodeId) -> bool:
        serving = self.map.nodes[node].state is NodeState.SERVING
        return serving and self.spec(node).desired_state is DesiredState.ACTIVE and node not in self.situation.read_only

    def _standing(self, info: PartitionInfo) -> Standing:
        lost = tuple(node for node in info.replicas if node in self.lost)
        leaving = tuple(node for node in info.replicas if node not in lost and self.spec(node).desired_state.is_leaving)
        staying = tuple(node for node in info.replicas if node not in lost and node not in leaving)
        wanted = max(1, min(self.settings.replicas, len(self.usable.union(staying))))
        load = self.situation.loads.get(info.id)
        return Standing(info, staying, leaving, lost, wanted, info.primary in self.alive, load)
