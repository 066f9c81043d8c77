"""Alerts are whole: each has a trial, speaks of labels that it has, and takes part in routes and inhibitions that exist."""

import re

import pytest
import yaml

from dstk_observability import alertmanager
from dstk_observability.alerts import ALERTS, AREA_OF, GROUPS
from dstk_observability.alerts.kinds import Severity
from dstk_observability.dashboards import DASHBOARDS
from dstk_observability.dashboards.model import Query
from dstk_observability.external import ALERTS as OWN_ALERTS
from dstk_observability.external import EXTERNALS, External
from dstk_observability.promtool import window_of
from dstk_observability.rules import Pace, rules, seconds
from dstk_observability.trials import TRIALS
from dstk_telemetry.registry import METRICS
from dstk_telemetry.registry.foreign import FOREIGN

LABEL = re.compile(r"\$labels\.(\w+)")


def test_there_are_enough_alerts_and_each_area_has_some() -> None:
    assert len(ALERTS) >= 40
    assert all(group.alerts for group in GROUPS)
    assert {alert.severity for alert in ALERTS.values()} == set(Severity)


def test_every_alert_is_tried_and_nothing_else() -> None:
    assert set(TRIALS) == set(ALERTS)


def test_every_alert_has_a_trial_of_what_must_not_fire_it() -> None:
    assert {name for name, trial in TRIALS.items() if not trial.spares} == {"DstkWatchdog"}


@pytest.mark.parametrize("name", ALERTS)
def test_texts_speak_of_labels_that_the_alert_has(name: str) -> None:
    alert = ALERTS[name]
    named = set(LABEL.findall(alert.summary + alert.description))
    for labels in TRIALS[name].fires:
        assert named <= set(labels)


def test_expressions_read_metrics_that_exist() -> None:
    """The builder refuses others; this holds that no text was written by hand."""
    for alert in ALERTS.values():
        for name in re.findall(r"\bdstk_\w+", re.sub(r"job:dstk_\w+:\w+", "", alert.expr.text)):
            family = re.sub(r"_(bucket|count|sum)$", "", name)
            assert name in METRICS or family in METRICS, f"{alert.name} reads {name}"


def test_metrics_of_every_process_are_those_of_the_registry() -> None:
    known = {(metric.name, metric.kind) for metric in FOREIGN}
    assert {(each.name, each.kind) for each in EXTERNALS if each.name.startswith("process_")} <= known


def test_every_inhibition_is_between_alerts_that_exist() -> None:
    for sources, targets, _ in alertmanager.INHIBITIONS:
        assert {*sources, *targets} <= set(ALERTS)
        assert not {*sources} & {*targets}


def test_inhibitions_compare_labels_that_both_alerts_have() -> None:
    for sources, targets, equal in alertmanager.INHIBITIONS:
        for name in (*sources, *targets):
            assert all(set(equal) <= set(labels) for labels in TRIALS[name].fires), name


def test_no_alert_that_wakes_a_person_waits_for_an_hour() -> None:
    assert all(seconds(alert.hold) <= 900 for alert in ALERTS.values() if alert.severity is Severity.PAGE)


def test_a_faster_pace_shortens_every_window_and_every_hold() -> None:
    fast = yaml.safe_load(rules(pace=Pace(60, 2)))
    for group in fast["groups"]:
        for rule in group["rules"]:
            assert not re.search(r"\[\d+[mhd]\]|offset \d+[mhd]", rule["expr"])
            assert rule.get("for", "1s").endswith("s")
    assert "[3d]" in rules()
    assert "[4320s]" in rules(pace=Pace(60))


def test_rules_have_what_the_routes_go_by() -> None:
    for group in yaml.safe_load(rules())["groups"]:
        for rule in group["rules"]:
            if "alert" in rule:
                assert rule["labels"] == {"severity": ALERTS[rule["alert"]].severity, "area": AREA_OF[rule["alert"]]}
                assert rule["annotations"]["runbook_url"] == f"docs/runbooks/{rule['alert']}.md"


def test_the_longest_window_of_an_alert_is_known() -> None:
    assert window_of(ALERTS["DstkAvailabilityBudgetBurnsSlowly"]) == 3 * 86400
    assert window_of(ALERTS["DstkMemoryGrows"]) == 3600
    assert window_of(ALERTS["DstkNodeDown"]) == 0


def test_every_metric_of_another_program_that_rules_and_panels_read_is_looked_for_in_that_program() -> None:
    """ALERTS is what Prometheus makes of the rules themselves."""
    records = [record.expr for group in GROUPS for record in group.records]
    panels = [query for dashboard in DASHBOARDS for panel in dashboard.panels for query in panel.queries]
    expressions = [*records, *(alert.expr for alert in ALERTS.values())]
    expressions += [query.expression for query in panels if isinstance(query, Query)]
    read = {family for each in expressions for family in each.families if isinstance(family, External)}
    assert len(read) > 10
    assert read - {OWN_ALERTS} <= {*EXTERNALS}
