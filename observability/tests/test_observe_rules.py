"""promtool tries every alert: pending, firing, ended, and silent under what must not fire it; and all on healthy clusters."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from kit.programs import run

from dstk_observability import promtool
from dstk_observability.alerts import ALERTS, GROUPS
from dstk_observability.alerts.kinds import Group
from dstk_observability.rules import rules
from dstk_observability.trials.kinds import Change, grows
from dstk_telemetry.registry.rpc import OPERATIONS, RPC_ENDED

pytestmark = pytest.mark.observe

RULES = Path(__file__).parents[1] / "prometheus" / "rules" / "dstk.yml"
MISTAKES = [grows(family, 1000, outcome="client") for family in (OPERATIONS, RPC_ENDED)]


def tried(tmp_path: Path, text: str) -> str:
    (tmp_path / "test.yml").write_text(text)
    return run("promtool", "test", "rules", tmp_path / "test.yml")


def group_of(name: str) -> Group:
    """The group of an alert: the other rules would only take time."""
    return next(group for group in GROUPS if name in [alert.name for alert in group.alerts])


def test_the_rules_are_rules_and_need_no_better_style() -> None:
    assert "SUCCESS" in run("promtool", "check", "rules", "--lint=all", "--lint-fatal", RULES)


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_fires_when_it_should_and_not_before(tmp_path: Path, name: str) -> None:
    (tmp_path / "rules.yml").write_text(rules([group_of(name)]))
    tried(tmp_path, promtool.of_alert(name, "rules.yml"))


@pytest.mark.parametrize(
    ("step", "steps", "changes", "traffic"),
    [(60, 120, (), 1), (60, 120, (), 0), (1800, 300, (), 1), (60, 120, MISTAKES, 1)],
    ids=["busy", "idle", "for a week", "clients make mistakes"],
)
def test_a_healthy_cluster_fires_nothing(
    tmp_path: Path, step: int, steps: int, changes: Sequence[Change], traffic: float
) -> None:
    tried(tmp_path, promtool.of_healthy(str(RULES), step, steps, changes, traffic))


def test_without_any_series_only_their_absence_fires(tmp_path: Path) -> None:
    tried(tmp_path, promtool.of_nothing(str(RULES), ["DstkWatchdog", "DstkTargetsMissing"]))


def planted(name: str, mistake: Mapping[str, Any]) -> Group:
    """The group of an alert, with a mistake in it."""
    wrong = {name: dataclasses.replace(ALERTS[name], **mistake)}
    group = group_of(name)
    return dataclasses.replace(group, alerts=[wrong.get(alert.name, alert) for alert in group.alerts])


@pytest.mark.parametrize(
    ("name", "mistake"),
    [
        ("DstkNodeDown", {"hold": "1s"}),
        ("DstkNodeDown", {"hold": "9m"}),
        ("DstkNodeDown", {"expr": ALERTS["DstkRouterDown"].expr}),
        ("DstkDiskLow", {"expr": ALERTS["DstkClusterSpaceLow"].expr}),
        ("DstkCallsFail", {"expr": ALERTS["DstkCallsFail"].expr.below(0)}),
    ],
    ids=["fires at once", "fires late", "another job", "another sum", "never fires"],
)
def test_a_wrong_rule_is_found(tmp_path: Path, name: str, mistake: Mapping[str, Any]) -> None:
    (tmp_path / "rules.yml").write_text(rules([planted(name, mistake)]))
    with pytest.raises(AssertionError, match="FAILED"):
        tried(tmp_path, promtool.of_alert(name, "rules.yml"))
