"""Every query of every panel, asked of a real Prometheus that watched a real cluster: in the quiet, and in faults."""

import math
import re

import pytest

from dstk_observability.dashboards import DASHBOARDS
from dstk_observability.dashboards.model import Fault
from observe.asked import Asked
from observe.expectations import EXPECTED, Change, Panel
from observe.prometheus_server import Series
from observe.shown import panels

pytestmark = [pytest.mark.observe, pytest.mark.timeout(900), pytest.mark.xdist_group("story")]

PANELS = {(panel.dashboard.removeprefix("dstk-"), panel.title): panel for panel in panels() if panel.targets}
FILLS = {
    (dashboard.uid.removeprefix("dstk-"), panel.title): panel.fills
    for dashboard in DASHBOARDS
    for panel in dashboard.panels
    if panel.fills is not None
}
"""Panels that are empty in the quiet, and the fault that fills them."""


def _numbers(found: list[Series]) -> list[float]:
    return [value for series in found for value in series.numbers]


def _name(key: object) -> str:
    return re.sub(r"\W+", "-", "-".join(key)) if isinstance(key, tuple) else str(key)


@pytest.mark.parametrize("key", [key for key in PANELS if key not in FILLS], ids=_name)
def test_in_the_quiet_every_query_has_data(asked: Asked, key: Panel) -> None:
    _, end = asked.story.moments[None]
    for legend, found in asked.at(PANELS[key], end).items():
        assert _numbers(found), f"{legend}: no data, only {found[:3]}"


@pytest.mark.parametrize("key", FILLS, ids=_name)
def test_what_a_fault_fills_is_empty_in_the_quiet_and_has_data_then(asked: Asked, key: Panel) -> None:
    _, end = asked.story.moments[None]
    assert all(not _numbers(found) for found in asked.at(PANELS[key], end).values())
    assert asked.over(PANELS[key], FILLS[key])


@pytest.mark.parametrize("key", PANELS, ids=_name)
def test_legends_name_series_apart(asked: Asked, key: Panel) -> None:
    moment = asked.story.moments[FILLS.get(key)][1]
    panel = PANELS[key]
    for target in panel.targets:
        found = asked.query(target, moment)
        for label in re.findall(r"{{(\w+)}}", target.legend):
            assert all(series.labels.get(label) for series in found), f"{target.legend}: no {label}"
        names = [target.named(series.labels) for series in found]
        assert len(set(names)) == len(names), f"{names}: two series have one name"


@pytest.mark.parametrize(
    ("fault", "key", "change"),
    [(fault, key, change) for fault, expected in EXPECTED.items() for key, change in expected.items()],
    ids=_name,
)
def test_in_a_fault_the_panels_that_tell_of_it_change(asked: Asked, fault: Fault, key: Panel, change: Change) -> None:
    quiet, then = asked.over(PANELS[key], None), asked.over(PANELS[key], fault)
    assert then, "no data"
    if change is Change.RISES:
        assert max(then) > max(quiet, default=-math.inf), f"{max(then)}, and in the quiet {max(quiet)}"
    else:
        assert min(then) < min(quiet), f"{min(then)}, and in the quiet {min(quiet)}"


def test_the_alerts_of_a_killed_node_are_shown(asked: Asked) -> None:
    panel = PANELS["overview", "Alerts"]

    def shown(fault: Fault | None) -> set[str]:
        _, end = asked.story.moments[fault]
        return {series.labels["alertname"] for found in asked.at(panel, end).values() for series in found}

    assert "DstkWatchdog" in shown(None), "the heartbeat always fires"
    assert "DstkNodeDown" in shown(Fault.NODE_KILLED) - shown(None)


def test_every_fault_has_panels_that_tell_of_it() -> None:
    assert set(EXPECTED) == set(Fault)
    assert set(FILLS.values()) <= set(EXPECTED)
    assert {key for expected in EXPECTED.values() for key in expected} <= set(PANELS)


def test_variables_have_the_values_of_the_cluster(asked: Asked) -> None:
    assert asked.story.variables["cluster"] == "test"
    assert asked.story.variables["node"] == "(metrics|router|storage-1|storage-2|storage-3)"
    assert re.fullmatch(r"\(\d+(\|\d+){2}\)", asked.story.variables["partition"])
