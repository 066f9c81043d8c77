"""Spreading what is there over the usable nodes: replicas over zones, bytes, primaries, then operations.

It comes to rest: zones never lose by a move, a move of a replica makes the sum of squares of the nodes' bytes smaller, a
switch that of their primaries, or leaves that alone and makes that of their operations smaller; and no later rule looks at
an earlier one's measure.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations
from typing import Final

from dstk_keytypes import NodeId
from dstk_storage.domain.controller.draft import Draft
from dstk_storage.domain.controller.model import Action, Finding, Step
from dstk_storage.domain.controller.repair import shown
from dstk_storage.domain.controller.survey import Standing, Survey

HYSTERESIS: Final = 0.1
"""Differences below this share of the mean are left alone."""

LEAST_DIFFERENCE: Final = 2
"""In primaries: below, a transfer would only turn the difference round."""


@dataclass(frozen=True, slots=True)
class Move:
    """A replica that would go from one node to another."""

    standing: Standing
    source: NodeId
    target: NodeId


def balance(draft: Draft) -> None:
    """Does nothing while a node is away or starting, nor moves bytes while their figures are not all known."""
    survey = draft.survey
    if survey.restless:
        names = ", ".join(sorted(survey.restless))
        draft.findings.append(
            Finding(0, None, f"balance waits for {names}: gone for a short while, starting or stopping")
        )
        return
    if not survey.usable:
        return
    known = all(standing.load is not None for standing in survey.standings)
    calm = all(len(standing.staying) >= standing.wanted for standing in survey.standings if standing.led)
    if known and calm:
        _spread(draft)
        _even_bytes(draft)
    _even_primaries(draft)
    if known:
        _even_operations(draft)


def _spread(draft: Draft) -> None:
    """Partitions with two replicas in one zone, where another zone has a usable node."""
    survey = draft.survey
    if len({survey.zone(node) for node in survey.usable}) == 1:
        return
    for standing in survey.standings:
        if not draft.has_room(Action.ADD_REPLICA):
            return
        zones = Counter(survey.zone(node) for node in standing.staying)
        sources = [node for node in standing.staying if zones[survey.zone(node)] > 1]
        targets = [node for node in survey.usable if survey.zone(node) not in zones]
        if sources and targets and _may_move(draft, standing):
            move = _best_spread(draft, standing, sources, targets)
            if move is not None:
                why = f"zone {survey.zone(move.source)!r} has two replicas, and zone {survey.zone(move.target)!r} none"
                _move(draft, move, why)


def _best_spread(draft: Draft, standing: Standing, sources: list[NodeId], targets: list[NodeId]) -> Move | None:
    primary, number = standing.info.primary, standing.info.id
    able = [node for node in sources if node in draft.survey.usable]
    free = [node for node in targets if draft.may(Action.ADD_REPLICA, number, node)]
    if not able or not free:
        return None
    source = min(able, key=lambda n: (n == primary, -draft.weights[n], n))
    return Move(standing, source, min(free, key=lambda n: (draft.weights[n], n)))


def _even_bytes(draft: Draft) -> None:
    """The move that takes the most off the difference between the fullest and the emptiest node, again and again."""
    while draft.has_room(Action.ADD_REPLICA):
        move = next(_moves(draft), None)
        if move is None:
            return
        full, empty = draft.weights[move.source], draft.weights[move.target]
        why = f"{move.source} bears {shown(full)}, {move.target} {shown(empty)}"
        _move(draft, move, why)


def _moves(draft: Draft) -> Iterator[Move]:
    usable, weights = draft.survey.usable, draft.weights
    least = HYSTERESIS * sum(weights[node] for node in usable) / len(usable)
    movable = [standing for standing in draft.survey.standings if _may_move(draft, standing)]
    held = {node: [standing for standing in movable if node in standing.staying] for node in usable}
    for source in sorted(usable, key=lambda n: (-weights[n], n)):
        for target in sorted(usable, key=lambda n: (weights[n], n)):
            difference = weights[source] - weights[target]
            if difference <= least:
                break
            fitting = [s for s in held[source] if _fits(draft, Move(s, source, target), difference)]
            if fitting:
                best = min(fitting, key=lambda s: (s.info.primary == source, -s.weight, s.info.id))
                yield Move(best, source, target)


def _fits(draft: Draft, move: Move, difference: float) -> bool:
    """It does not overshoot, and no zone loses its only replica unless another one gets its first."""
    survey, standing = draft.survey, move.standing
    if move.target in standing.info.replicas or 2 * standing.weight > difference:
        return False
    before = {survey.zone(node) for node in standing.staying}
    after = {survey.zone(n) for n in (*standing.staying, move.target) if n != move.source}
    return len(after) >= len(before) and draft.may(Action.ADD_REPLICA, standing.info.id, move.target)


def _may_move(draft: Draft, standing: Standing) -> bool:
    memory, number = draft.survey.memory, standing.info.id
    settled = standing.whole and len(standing.staying) <= draft.survey.settings.replicas
    left_alone = memory.placement_is_overridden(number) or memory.moved_lately(number)
    return settled and not left_alone and draft.is_free(standing)


def _move(draft: Draft, move: Move, why: str) -> None:
    reason = f"balance: {why}; {shown(move.standing.weight)} are to move there"
    number = move.standing.info.id
    draft.take(Step(Action.ADD_REPLICA, number, reason, node=move.target, replaces=move.source))


def _even_primaries(draft: Draft) -> None:
    """From the node with the most to the one with the fewest that has a replica in sync, again and again."""
    while draft.has_room(Action.SWITCH_PRIMARY) and _transfer_for_count(draft):
        pass


def _transfer_for_count(draft: Draft) -> bool:
    counts, usable = draft.primaries, draft.survey.usable
    least = HYSTERESIS * sum(counts[node] for node in usable) / len(usable)
    for source, target in _pairs(draft.survey, counts):
        difference = counts[source] - counts[target]
        if difference < LEAST_DIFFERENCE or difference <= least:
            return False
        wanted = (draft.operations[source] - draft.operations[target]) / 2
        able = _switchable(draft, source, target)
        if able:
            best = min(able, key=lambda s: (abs(s.operations - wanted), s.info.id))
            why = f"balance: {source} is the primary of {counts[source]} partitions, {target} of {counts[target]}"
            return draft.take(Step(Action.SWITCH_PRIMARY, best.info.id, why, node=target))
    return False


def _even_operations(draft: Draft) -> None:
    """Only from a node with more primaries to one with fewer, so that it does not unbalance those."""
    while draft.has_room(Action.SWITCH_PRIMARY) and _transfer_for_operations(draft):
        pass


def _transfer_for_operations(draft: Draft) -> bool:
    busy, usable = draft.operations, draft.survey.usable
    mean = sum(busy[node] for node in usable) / len(usable)
    least = HYSTERESIS * max(mean, draft.survey.settings.split_operations)
    for source, target in _pairs(draft.survey, busy):
        difference = busy[source] - busy[target]
        if difference <= least:
            return False
        able = [s for s in _switchable(draft, source, target) if least <= 2 * s.operations <= difference]
        if able and draft.primaries[source] > draft.primaries[target]:
            best = max(able, key=lambda s: (s.operations, -s.info.id))
            why = f"balance: {source} serves {busy[source]:,} operations a second, {target} {busy[target]:,}"
            return draft.take(Step(Action.SWITCH_PRIMARY, best.info.id, why, node=target))
    return False


def _pairs(survey: Survey, measure: Counter[NodeId]) -> list[tuple[NodeId, NodeId]]:
    """Usable nodes two by two, the greatest difference first."""
    pairs = permutations(sorted(survey.usable), 2)
    return sorted(pairs, key=lambda pair: measure[pair[1]] - measure[pair[0]])


def _switchable(draft: Draft, source: NodeId, target: NodeId) -> list[Standing]:
    survey = draft.survey
    return [
        standing
        for standing in survey.standings
        if standing.info.primary == source
        and target in standing.info.in_sync
        and draft.is_free(standing)
        and survey.surplus(standing) is None
        and draft.may(Action.SWITCH_PRIMARY, standing.info.id, target)
        and not survey.memory.transferred_recently(standing.info.id)
        and not survey.memory.placement_is_overridden(standing.info.id)
    ]
