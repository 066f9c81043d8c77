"""The analysis of a situation: which nodes are usable, and which replicas of each partition stay, leave or are lost."""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from dstk_cluster.model import NodeState, PartitionInfo
from dstk_cluster.settings import DesiredState, NodeSpec
from dstk_keytypes import NodeId
from dstk_storage.domain.controller.action_history import ActionHistory
from dstk_storage.domain.controller.model import Load, Situation

BASE_BYTES: Final = 1 << 20
"""Added to the size of each partition, so that balance also spreads empty ones and ignores small differences."""


@dataclass(frozen=True, slots=True)
class AnalyzedPartition:
    """A partition with its replicas by their future.

    `staying` replicas may stay where they are; the nodes of `leaving` ones are drained or removed; the nodes of `lost` ones
    are gone for good, as far as anything can tell. `wanted`: how many replicas it should have.
    """

    info: PartitionInfo
    staying: tuple[NodeId, ...]
    leaving: tuple[NodeId, ...]
    lost: tuple[NodeId, ...]
    wanted: int
    led: bool
    """Whether its primary is alive. Only a living primary can change the partition."""
    load: Load | None

    @property
    def safe(self) -> tuple[NodeId, ...]:
        """The replicas that stay and are in sync."""
        return tuple(node for node in self.staying if node in self.info.in_sync)

    @property
    def whole(self) -> bool:
        """Whether all replicas stay and are in sync."""
        return not self.leaving and not self.lost and len(self.safe) == len(self.info.replicas)

    @property
    def weight(self) -> float:
        """The size in bytes, as balance counts it."""
        return BASE_BYTES + (self.load.bytes if self.load else 0)

    @property
    def operations(self) -> float:
        """Operations a second; 0 while they are unknown."""
        return (self.load.operations or 0.0) if self.load else 0.0


class Analysis:
    """The nodes by their state, and all partitions by key. Immutable once made."""

    def __init__(self, situation: Situation) -> None:
        self.situation, self.map, self.settings = situation, situation.map, situation.settings
        self.history = ActionHistory(situation)
        self.alive = frozenset(self.map.nodes)
        named = {node for info in self.map.partitions for node in info.replicas} | set(situation.gone)
        self.lost = frozenset(node for node in named - self.alive if self._is_lost(node))
        self.away = frozenset(named - self.alive - self.lost)
        self.usable = frozenset(node for node in self.alive if self._is_usable(node))
        self.unsettled = self.away | {n for n, info in self.map.nodes.items() if info.state is not NodeState.SERVING}
        self.partitions = tuple(self._analyze(info) for info in self.map.partitions)
        self.by_id = {partition.info.id: partition for partition in self.partitions}

    def desired_state(self, node: NodeId) -> DesiredState:
        """The state that an operator wants the node to be in."""
        return self._spec(node).desired_state

    def zone(self, node: NodeId) -> str:
        """The zone of a node; empty for one that is not alive."""
        info = self.map.nodes.get(node)
        return "" if info is None else info.zone

    def preferred_targets(self, partition: AnalyzedPartition) -> set[NodeId]:
        """The replacements that operators named for the nodes that the partition leaves."""
        specs = (self._spec(node) for node in (*partition.leaving, *partition.lost))
        return {spec.replacement for spec in specs if spec.replacement is not None}

    def stalled(self, partition: AnalyzedPartition, node: NodeId) -> bool:
        """Whether the node is alive but the primary has not heard of its replica for `gone_seconds`."""
        silent = partition.load.silent.get(node, 0.0) if partition.load else 0.0
        return silent >= self.settings.gone_seconds and node in self.alive and node not in partition.info.in_sync

    def surplus(self, partition: AnalyzedPartition) -> NodeId | None:
        """The replica to remove when there are more than the settings ask for.

        It is the one that another replica was to replace; else the one on the fullest node, preferably in a zone with another
        replica. Never one on a cordoned node, which keeps its replicas, and the primary only if it was to be replaced.
        """
        extra = len(partition.staying) > self.settings.replicas
        if not extra or self.history.surplus_is_overridden(partition.info.id):
            return None
        removable = [node for node in partition.staying if self.desired_state(node) is DesiredState.ACTIVE]
        for new, old in self.history.replacements(partition.info.id):
            if new in partition.staying and old in removable:
                return old
        others = [node for node in removable if node != partition.info.primary]
        zones = Counter(map(self.zone, partition.staying))
        return max(others, key=lambda n: (zones[self.zone(n)] > 1, self.stored[n], n), default=None)

    @cached_property
    def stored(self) -> Counter[NodeId]:
        """The bytes that each node holds now."""
        stored: Counter[NodeId] = Counter()
        for partition in self.partitions:
            for node in partition.info.replicas:
                stored[node] += round(partition.weight)
        return stored

    def why_leaving(self, node: NodeId) -> str:
        """Why the node's replicas leave or are lost."""
        state = self.desired_state(node)
        if state is DesiredState.REMOVED or (state is DesiredState.DRAINED and node not in self.lost):
            return f"the desired state of {node} is {state}"
        gone, limit = self.situation.gone.get(node, 0.0), self.settings.gone_seconds
        return f"{node} has been gone for {gone:.0f} s (limit {limit:g} s)"

    def _spec(self, node: NodeId) -> NodeSpec:
        return self.situation.specs.get(node, NodeSpec())

    def _is_lost(self, node: NodeId) -> bool:
        gone = self.situation.gone.get(node, 0.0)
        return gone >= self.settings.gone_seconds or self.desired_state(node) is DesiredState.REMOVED

    def _is_usable(self, node: NodeId) -> bool:
        serving = self.map.nodes[node].state is NodeState.SERVING
        return serving and self.desired_state(node) is DesiredState.ACTIVE and node not in self.situation.read_only

    def _analyze(self, info: PartitionInfo) -> AnalyzedPartition:
        lost = tuple(node for node in info.replicas if node in self.lost)
        leaving = tuple(node for node in info.replicas if node not in lost and self.desired_state(node).is_leaving)
        staying = tuple(node for node in info.replicas if node not in lost and node not in leaving)
        wanted = max(1, min(self.settings.replicas, len(self.usable.union(staying))))
        load = self.situation.loads.get(info.id)
        return AnalyzedPartition(info, staying, leaving, lost, wanted, info.primary in self.alive, load)
