"""When the controller plans again: whenever a plan would be another one, and else every ten seconds."""

from dataclasses import replace
from typing import Any

import pytest
from kit.map_entries import node_info, partition_info
from kit.situations import FOUR, HOUR, N1, N3, N4, NOW, P1, QUIET, situation, with_

from dstk_cluster.model import NodeState
from dstk_cluster.overrides import Override
from dstk_cluster.settings import DesiredState, NodeSpec
from dstk_service.controller_settings import ControllerSettings
from dstk_storage.domain.controller.model import Action, ActionRecord, Situation, Step
from dstk_storage.domain.controller.plan_basis import PlanBasis

STATE = situation(FOUR, [partition_info(1, ["n1", "n2", "n3"])], gone={N4: 10.0})
MAP = STATE.map


def later(seconds: float, state: Situation = STATE, **changes: Any) -> Situation:
    return with_(state, now_ms=NOW + round(seconds * 1000), **changes)


def test_a_plan_holds_for_ten_seconds_while_nothing_changes() -> None:
    basis = PlanBasis.of(STATE)
    assert basis.covers(STATE)
    assert basis.covers(later(9.9, gone={N4: 19.9}))
    assert not basis.covers(later(10))
    assert not basis.covers(later(-1)), "the clock was set back"


CHANGES: dict[str, dict[str, Any]] = {
    "a map change": {"map": replace(MAP, revision=MAP.revision + 1)},
    "a node died": {"map": replace(MAP, nodes={})},
    "a node is stopping": {"map": replace(MAP, nodes={**MAP.nodes, N1: node_info("n1", state=NodeState.LEAVING)})},
    "a node is missing": {"gone": {N3: 0.5, N4: 11.0}},
    "a node came back": {"gone": {}},
    "a node is gone for good": {"gone": {N4: 300.0}},
    "a setting": {"settings": ControllerSettings(paused=True)},
    "a desired state": {"specs": {N1: NodeSpec(DesiredState.DRAINED)}},
    "an override": {"overrides": (Override(P1, "split", NOW),)},
    "a full disk": {"read_only": frozenset({N1})},
    "a load": {"loads": {P1: replace(QUIET, sustained=30_000.0)}},
    "an unknown load": {"loads": {}},
    "a step began": {"running": (Step(Action.SPLIT, P1, ""),)},
    "a step failed": {"backing_off": frozenset({(Action.SPLIT, P1, None)})},
    "a step is done": {"records": (ActionRecord(Action.SPLIT, P1, NOW),)},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_plan_ends_when_something_that_it_depends_on_changes(change: dict[str, Any]) -> None:
    basis = PlanBasis.of(STATE)
    assert not basis.covers(later(1, **change))
    assert PlanBasis.of(with_(STATE, **change)).covers(later(1, **change))


@pytest.mark.parametrize(
    ("age_ms", "changes"),
    [
        (300_000, {"records": [ActionRecord(Action.TRANSFER_PRIMARY, P1, NOW)]}),
        (600_000, {"records": [ActionRecord(Action.SPLIT, P1, NOW)]}),
        (24 * HOUR + 1, {"overrides": [Override(P1, "split", NOW)]}),
    ],
    ids=["moved", "reshaped", "an operator's choice"],
)
def test_a_plan_ends_when_what_was_done_before_stops_counting(age_ms: int, changes: dict[str, Any]) -> None:
    """The last plan before that moment holds until it, to the millisecond."""
    changes = {name: tuple(values) for name, values in changes.items()}
    basis = PlanBasis.of(with_(STATE, now_ms=NOW + age_ms - 5000, **changes))
    assert basis.until_ms == NOW + age_ms
    assert basis.covers(with_(STATE, now_ms=NOW + age_ms - 1, **changes))
    assert PlanBasis.of(with_(STATE, now_ms=NOW + age_ms, **changes)).until_ms > NOW + age_ms
