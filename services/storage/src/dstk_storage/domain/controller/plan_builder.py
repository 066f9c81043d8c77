"""Builds a plan: collects steps within the limits, and keeps count of what each node will hold when they are done."""

from collections import Counter
from typing import Final

from dstk_keytypes import NodeId, PartitionId
from dstk_storage.domain.controller.analysis import Analysis, AnalyzedPartition
from dstk_storage.domain.controller.model import Action, Finding, Plan, Step

RESHAPES_AT_ONCE: Final = 2
"""Splits that run at the same time; merges likewise."""


class PlanBuilder:
    """Adds steps while the limits allow.

    Invariants: at most one step touches a partition; no attempt that is backing off is planned; at most `moves_at_once`
    replicas are copied at the same time, including those of steps that already run.
    """

    def __init__(self, analysis: Analysis) -> None:
        self.analysis = analysis
        self._steps: list[Step] = []
        self._findings: list[Finding] = []
        self._busy: set[PartitionId] = set()
        self._capacity = _capacity(analysis)
        self.partitions = len(analysis.partitions)
        """How many partitions there will be."""
        self.stored: Counter[NodeId] = Counter()
        """The bytes that each node will hold."""
        self.primaries: Counter[NodeId] = Counter()
        """Of how many partitions each node will be the primary."""
        self.operations: Counter[NodeId] = Counter()
        """How many operations a second each node will serve."""
        for partition in analysis.partitions:
            self._count(partition)
        for step in analysis.situation.running:
            self._busy.update(step.touches)
            self._apply(step)

    def build(self) -> Plan:
        """Returns the plan."""
        return Plan(tuple(self._steps), tuple(self._findings))

    def is_free(self, partition: AnalyzedPartition) -> bool:
        """Whether a step may change the partition: its primary is alive, and no other step touches it."""
        return partition.led and partition.info.id not in self._busy

    def allows(self, action: Action, partition: PartitionId, node: NodeId | None = None) -> bool:
        """Whether the attempt is not backing off."""
        return (action, partition, node) not in self.analysis.situation.backing_off

    def has_capacity(self, action: Action) -> bool:
        """Whether another step of this kind may begin."""
        return self._capacity.get(action, 1) > 0

    def add(self, step: Step, *, urgent: bool = False) -> bool:
        """Adds the step if the limits allow it. Urgent steps ignore the limits, except for the one on copies."""
        limited = step.action is Action.ADD_REPLICA or not urgent
        if not self.allows(*step.attempt) or (limited and not self.has_capacity(step.action)):
            return False
        assert self._busy.isdisjoint(step.touches)
        self._busy.update(step.touches)
        self._steps.append(step)
        if limited and step.action in self._capacity:
            self._capacity[step.action] -= 1
        self._apply(step)
        return True

    def report(self, reason: str, partition: int = 0, node: NodeId | None = None) -> None:
        """Adds a problem that no step can fix."""
        self._findings.append(Finding(partition, node, reason))

    def _count(self, partition: AnalyzedPartition) -> None:
        primary = partition.info.primary
        surplus = self.analysis.surplus(partition)
        for node in partition.staying:
            if node != surplus:
                self.stored[node] += round(partition.weight)
        self.primaries[primary] += 1
        self.operations[primary] += round(partition.operations)

    def _apply(self, step: Step) -> None:
        """Counts the step as done."""
        partition = self.analysis.by_id.get(step.partition)
        if partition is None:
            return
        match step.action:
            case Action.ADD_REPLICA if step.node is not None and step.node not in partition.info.replicas:
                self._apply_copy(partition, step.node, step.replaces)
            case Action.TRANSFER_PRIMARY if step.node is not None and step.node != partition.info.primary:
                self._apply_transfer(partition, step.node)
            case Action.MERGE:
                self.partitions -= 1
            case _:
                pass

    def _apply_copy(self, partition: AnalyzedPartition, target: NodeId, source: NodeId | None) -> None:
        self.stored[target] += round(partition.weight)
        if source is not None:
            self.stored[source] -= round(partition.weight)

    def _apply_transfer(self, partition: AnalyzedPartition, target: NodeId) -> None:
        self.primaries.subtract({partition.info.primary: 1})
        self.primaries[target] += 1
        self.operations.subtract({partition.info.primary: round(partition.operations)})
        self.operations[target] += round(partition.operations)


def _capacity(analysis: Analysis) -> dict[Action, int]:
    """How many steps of each limited kind may begin."""
    moves = analysis.settings.moves_at_once
    begun = Counter(step.action for step in analysis.situation.running)
    return {
        Action.ADD_REPLICA: moves - _copies(analysis),
        Action.TRANSFER_PRIMARY: moves - begun[Action.TRANSFER_PRIMARY],
        Action.SPLIT: RESHAPES_AT_ONCE - begun[Action.SPLIT],
        Action.MERGE: RESHAPES_AT_ONCE - begun[Action.MERGE],
    }


def _copies(analysis: Analysis) -> int:
    """Counts the replicas that are being copied: on living nodes and not in sync, or about to be added by a running step."""
    copies = {
        (partition.info.id, node)
        for partition in analysis.partitions
        for node in partition.info.replicas
        if node in analysis.alive and node not in partition.info.in_sync and not analysis.stalled(partition, node)
    }
    adds = (step for step in analysis.situation.running if step.action is Action.ADD_REPLICA)
    return len(copies | {(step.partition, step.node) for step in adds})
