"""Each dashboard has what a person needs at night, names only what exists, and is what Grafana's own types read."""

import json
import re
from collections import Counter
from itertools import pairwise
from typing import Any

import promql_parser
import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard as GrafanaDashboard

from dstk_observability.dashboards import DASHBOARDS
from dstk_observability.dashboards.grafana import render
from dstk_observability.dashboards.model import GRID_WIDTH, Dashboard, LogQuery, Panel, Query, Variable
from dstk_observability.dashboards.sources import TYPES
from dstk_telemetry.registry import METRICS

every_dashboard = pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: dashboard.uid)


def _rendered(dashboard: Dashboard) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(render(dashboard))
    return loaded


def _panels(dashboard: Dashboard) -> list[dict[str, Any]]:
    return [panel for panel in _rendered(dashboard)["panels"] if panel["type"] != "row"]


def _queries(panel: Panel) -> list[Query]:
    return [query for query in panel.queries if isinstance(query, Query)]


def test_there_are_the_ten_dashboards() -> None:
    assert [dashboard.uid.removeprefix("dstk-") for dashboard in DASHBOARDS] == [
        "overview", "node", "partition", "replication", "clients", "metrics", "etcd", "runtime", "logs", "slo",
    ]  # fmt: skip


@every_dashboard
def test_grafanas_types_read_it_and_write_the_same(dashboard: Dashboard) -> None:
    register_default_plugins()
    text = render(dashboard)
    read = GrafanaDashboard.from_json(json.loads(text))
    assert JSONEncoder(indent=1, sort_keys=True, ensure_ascii=False).encode(read) + "\n" == text


@every_dashboard
def test_each_panel_has_a_description_a_unit_thresholds_and_legends(dashboard: Dashboard) -> None:
    for panel in _panels(dashboard):
        defaults = panel["fieldConfig"]["defaults"]
        assert panel["description"].count(". ") >= 1, f"{panel['title']}: what it shows, then what its colours mean"
        assert panel["description"].endswith("."), panel["title"]
        assert defaults["unit"], panel["title"]
        steps = defaults["thresholds"]["steps"]
        assert steps[0]["value"] is None, panel["title"]
        assert len(steps) > 1, panel["title"]
        assert all(target.get("legendFormat", target.get("query")) for target in panel["targets"]), panel["title"]


@every_dashboard
def test_the_steps_of_thresholds_ascend_and_change_the_colour(dashboard: Dashboard) -> None:
    for panel in dashboard.panels:
        values = [step.value for step in panel.thresholds.steps]
        colours = [panel.thresholds.base, *(step.colour for step in panel.thresholds.steps)]
        assert values == sorted(set(values)), panel.title
        assert all(left != right for left, right in pairwise(colours)), panel.title


@every_dashboard
def test_each_query_is_valid_promql(dashboard: Dashboard) -> None:
    for panel in dashboard.panels:
        for query in _queries(panel):
            promql_parser.parse(query.expression.text.replace("$__rate_interval", "1m"))


@every_dashboard
def test_legends_name_labels_that_the_query_keeps(dashboard: Dashboard) -> None:
    for panel in dashboard.panels:
        for query in _queries(panel):
            for label in re.findall(r"{{(\w+)}}", query.legend):
                assert _keeps(query.expression.text, label), f"{panel.title}: {query.expression.text} has no {label}"


def _keeps(expression: str, label: str) -> bool:
    """An aggregation drops the labels that it does not name; without one, the metric's labels and the target's stay."""
    groupings = re.findall(r"(?:sum|max|min|count) (?:by \((.*?)\) )?\(", expression)
    return all(label in grouping.split(", ") for grouping in groupings[:1])


@every_dashboard
def test_panels_fill_the_grid_without_overlap(dashboard: Dashboard) -> None:
    taken: Counter[tuple[int, int]] = Counter()
    for panel in _rendered(dashboard)["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= GRID_WIDTH, panel["title"]
        taken.update((place["x"] + i, place["y"] + j) for i in range(place["w"]) for j in range(place["h"]))
    assert max(taken.values()) == 1
    lowest = max(y for _, y in taken)
    assert len(taken) == GRID_WIDTH * (lowest + 1), "each row is filled to its end"


@every_dashboard
def test_ids_and_titles_are_unique(dashboard: Dashboard) -> None:
    panels = _rendered(dashboard)["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    titles = [panel.title for panel in dashboard.panels]
    assert len(set(titles)) == len(titles)


@every_dashboard
def test_variables_are_declared_and_used(dashboard: Dashboard) -> None:
    declared = {variable["name"] for variable in _rendered(dashboard)["templating"]["list"]}
    text = json.dumps([panel["targets"] for panel in _panels(dashboard)])
    used = {name for name in Variable if re.search(rf"\${name}\b", text)}
    assert used == declared


@every_dashboard
def test_links_lead_to_dashboards_that_exist_and_carry_the_time(dashboard: Dashboard) -> None:
    known = {each.uid: {str(variable) for variable in each.variables} for each in DASHBOARDS}
    assert len(_rendered(dashboard)["links"]) == 2
    for panel in _panels(dashboard):
        for link in panel["fieldConfig"]["defaults"].get("links", []):
            uid, _, parameters = link["url"].removeprefix("/d/").partition("?")
            assert set(re.findall(r"var-(\w+)", parameters)) <= known[uid], link
            assert "${__url_time_range}" in parameters


def test_series_of_a_process_lead_to_its_dashboard_and_its_logs() -> None:
    panels = [panel for dashboard in DASHBOARDS for panel in _panels(dashboard)]
    of_processes = [
        panel for panel in panels if any("{{instance}}" in t.get("legendFormat", "") for t in panel["targets"])
    ]
    assert len(of_processes) > 40
    for panel in of_processes:
        urls = " ".join(link["url"] for link in panel["fieldConfig"]["defaults"]["links"])
        has_no_id = any(
            all(f'job="{job}"' in each["expr"] for each in panel["targets"]) for job in ("router", "metrics")
        )
        assert ("/d/dstk-node?" in urls) != has_no_id
        assert "/d/dstk-logs?" in urls


@every_dashboard
def test_panels_name_provisioned_sources(dashboard: Dashboard) -> None:
    assert {(panel["datasource"]["uid"], panel["datasource"]["type"]) for panel in _panels(dashboard)} <= set(
        TYPES.items()
    )


def test_every_metric_is_on_a_dashboard() -> None:
    shown = {
        family.name
        for dashboard in DASHBOARDS
        for panel in dashboard.panels
        for query in _queries(panel)
        for family in query.expression.families
    }
    assert sorted(set(METRICS) - shown) == []


def test_log_panels_ask_for_selected_processes_alone() -> None:
    found = [q for d in DASHBOARDS for p in d.panels for q in p.queries if isinstance(q, LogQuery)]
    assert found
    assert all("$cluster" in query.lucene and "$node" in query.lucene for query in found)
