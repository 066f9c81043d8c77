"""A plan in the making: what it takes up so far, and what the nodes will bear when it is done."""

from collections import Counter
from typing import Final

from dstk_keytypes import NodeId, PartitionId
from dstk_storage.domain.controller.model import Action, Finding, Plan, Step
from dstk_storage.domain.controller.survey import Standing, Survey

RESHAPES_AT_ONCE: Final = 2
"""Splits under way at one moment; merges likewise."""


class Draft:
    """Takes steps as long as the limits allow.

    Invariants: a partition is touched by one step at most; no attempt that rests is made; no more replicas are on their way
    than `moves_at_once`, those under way already included.
    """

    def __init__(self, survey: Survey) -> None:
        self.survey = survey
        self.steps: list[Step] = []
        self.findings: list[Finding] = []
        self._busy: set[PartitionId] = set()
        self._left = _room(survey)
        self.partitions = len(survey.standings)
        self.weights: Counter[NodeId] = Counter()
        self.primaries: Counter[NodeId] = Counter()
        self.operations: Counter[NodeId] = Counter()
        for standing in survey.standings:
            self._count(standing)
        for step in survey.situation.under_way:
            self._busy.update(step.touches)
            self._foresee(step)

    def plan(self) -> Plan:
        """What it has become."""
        return Plan(tuple(self.steps), tuple(self.findings))

    def is_free(self, standing: Standing) -> bool:
        """Whether something may be done to the partition, and somebody is there to do it."""
        return standing.led and standing.info.id not in self._busy

    def may(self, action: Action, partition: PartitionId, node: NodeId | None = None) -> bool:
        """Whether the attempt does not rest."""
        return (action, partition, node) not in self.survey.situation.resting

    def has_room(self, action: Action) -> bool:
        """Whether another step of the kind may begin."""
        return self._left.get(action, 1) > 0

    def take(self, step: Step, *, urgent: bool = False) -> bool:
        """Adds the step if it may be taken. Urgent ones are not held back by a limit on balance: only copies are."""
        limited = step.action is Action.ADD_REPLICA or not urgent
        if not self.may(*step.attempt) or (limited and not self.has_room(step.action)):
            return False
        assert self._busy.isdisjoint(step.touches)
        self._busy.update(step.touches)
        self.steps.append(step)
        if limited and step.action in self._left:
            self._left[step.action] -= 1
        self._foresee(step)
        return True

    def find(self, standing: Standing, node: NodeId | None, reason: str) -> None:
        """Notes what no step can mend."""
        self.findings.append(Finding(standing.info.id, node, reason))

    def _count(self, standing: Standing) -> None:
        info = standing.info
        surplus = self.survey.surplus(standing)
        for node in standing.staying:
            if node != surplus:
                self.weights[node] += round(standing.weight)
        self.primaries[info.primary] += 1
        self.operations[info.primary] += round(standing.operations)

    def _foresee(self, step: Step) -> None:
        """Counts the step as done."""
        standing = self.survey.by_id.get(step.partition)
        if standing is None:
            return
        info, node = standing.info, step.node
        match step.action:
            case Action.ADD_REPLICA if node is not None and node not in info.replicas:
                self.weights[node] += round(standing.weight)
                if step.replaces is not None:
                    self.weights[step.replaces] -= round(standing.weight)
            case Action.SWITCH_PRIMARY if node is not None and node != info.primary:
                self.primaries.subtract({info.primary: 1})
                self.primaries[node] += 1
                self.operations.subtract({info.primary: round(standing.operations)})
                self.operations[node] += round(standing.operations)
            case Action.MERGE:
                self.partitions -= 1
            case _:
                pass


def _room(survey: Survey) -> dict[Action, int]:
    """How many steps of each limited kind may begin."""
    moves = survey.settings.moves_at_once
    begun = Counter(step.action for step in survey.situation.under_way)
    return {
        Action.ADD_REPLICA: moves - _on_their_way(survey),
        Action.SWITCH_PRIMARY: moves - begun[Action.SWITCH_PRIMARY],
        Action.SPLIT: RESHAPES_AT_ONCE - begun[Action.SPLIT],
        Action.MERGE: RESHAPES_AT_ONCE - begun[Action.MERGE],
    }


def _on_their_way(survey: Survey) -> int:
    """Replicas that are not in sync, on nodes that are there; and those that are being added."""
    coming = {
        (standing.info.id, node)
        for standing in survey.standings
        for node in standing.info.replicas
        if node in survey.alive and node not in standing.info.in_sync and not survey.stalled(standing, node)
    }
    adds = (step for step in survey.situation.under_way if step.action is Action.ADD_REPLICA)
    return len(coming | {(step.partition, step.node) for step in adds})
