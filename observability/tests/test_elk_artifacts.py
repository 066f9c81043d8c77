"""What is generated for Elasticsearch and Kibana names fields that exist, and fits together."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from dstk_observability.elk import index, kibana, names, pipeline, shippers
from dstk_observability.elk.files import FILES
from dstk_observability.elk.mapping import SHIPPED, fields, mapping
from dstk_observability.elk.searches import SEARCHES
from dstk_service.logs.actions import ACTIONS
from dstk_service.logs.fields import by_name

NAMES = {field.name for field in fields()}
OBJECTS = kibana.objects()


def leaves(properties: dict[str, Any], prefix: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for name, entry in properties.items():
        if "properties" in entry:
            found |= leaves(entry["properties"], f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = entry["type"]
    return found


def test_the_mapping_has_exactly_the_fields_of_the_registry_and_of_the_shippers() -> None:
    mapped = leaves(mapping()["properties"])
    assert set(mapped) == set(by_name()) | {field.name for field in SHIPPED}
    types = {"text": "match_only_text"}
    assert all(mapped[name] == types.get(field.type, field.type) for name, field in by_name().items())


def test_the_template_is_for_the_data_stream_and_ignores_nothing_silently() -> None:
    made = index.template()
    assert made["index_patterns"] == [names.PATTERN]
    assert made["template"]["mappings"]["dynamic"] == "false"
    assert made["template"]["settings"]["index"]["default_pipeline"] == names.PIPELINE
    assert made["template"]["settings"]["index"]["lifecycle"]["name"] == names.LIFECYCLE
    assert re.fullmatch(names.PATTERN.replace("*", ".+"), names.DATA_STREAM)


def test_both_lifecycles_say_the_same() -> None:
    phases = index.lifecycle()["policy"]["phases"]
    states = {state["name"]: state for state in index.opensearch_lifecycle()["policy"]["states"]}
    assert set(phases) == set(states)
    rollover, other = phases["hot"]["actions"]["rollover"], states["hot"]["actions"][0]["rollover"]
    assert (rollover["max_age"], rollover["max_primary_shard_size"]) == (
        other["min_index_age"],
        other["min_primary_shard_size"],
    )
    assert phases["delete"]["min_age"] == states["warm"]["transitions"][0]["conditions"]["min_index_age"]


def fields_in(query: str) -> set[str]:
    return set(re.findall(r"([\w.@]+):", query)) - {"_exists_"} | set(re.findall(r"_exists_:([\w.]+)", query))


@pytest.mark.parametrize("search", SEARCHES, ids=lambda search: search.id)
def test_a_search_names_fields_and_actions_that_exist(search: Any) -> None:
    assert fields_in(search.query) | set(search.columns) <= NAMES
    for asked in re.findall(r"event\.action:\(([^)]+)\)", search.query):
        for action in asked.split(" OR "):
            matching = [name for name in ACTIONS if re.fullmatch(action.replace("*", ".*"), name)]
            assert matching, f"no action is called {action}"


def test_kibanas_objects_refer_to_objects_that_come_before_them() -> None:
    seen: set[tuple[str, str]] = set()
    for each in OBJECTS:
        assert {(reference["type"], reference["id"]) for reference in each["references"]} <= seen
        assert (each["coreMigrationVersion"], each["typeMigrationVersion"]) == (kibana.CORE, kibana.TYPES[each["type"]])
        seen.add((each["type"], each["id"]))
    assert len(seen) == len(OBJECTS)
    assert [json.loads(line) for line in kibana.ndjson().splitlines()] == OBJECTS


def test_charts_are_about_fields_that_exist() -> None:
    charts = [each for each in OBJECTS if each["type"] == "visualization"]
    assert len(charts) >= 4
    for chart in charts:
        state = json.loads(chart["attributes"]["visState"])
        asked = {aggregation["params"]["field"] for aggregation in state["aggs"] if "field" in aggregation["params"]}
        source = json.loads(chart["attributes"]["kibanaSavedObjectMeta"]["searchSourceJSON"])
        assert asked | fields_in(source["query"]["query"]) <= NAMES


def test_the_dashboard_shows_each_panel_in_a_place_of_its_own() -> None:
    dashboard = OBJECTS[-1]
    panels = json.loads(dashboard["attributes"]["panelsJSON"])
    named = {reference["name"]: reference["id"] for reference in dashboard["references"]}
    assert {f"{panel['panelIndex']}:{panel['panelRefName']}" for panel in panels} == set(named)
    cells = [
        (x, y)
        for panel in panels
        for x in range(panel["gridData"]["x"], panel["gridData"]["x"] + panel["gridData"]["w"])
        for y in range(panel["gridData"]["y"], panel["gridData"]["y"] + panel["gridData"]["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < kibana.WIDTH


def test_the_shippers_reach_each_other() -> None:
    beat = yaml.safe_load(FILES["observability/elk/filebeat/filebeat.yml"]())
    assert beat["output.logstash"]["hosts"] == [f"logstash:{shippers.BEATS_PORT}"]
    assert f"port => {shippers.BEATS_PORT}" in shippers.logstash()
    assert shippers.logstash().count("{") == shippers.logstash().count("}")
    assert yaml.safe_load(FILES["observability/elk/logstash/logstash.yml"]())["dead_letter_queue.enable"] is True


def test_the_pipeline_ends_with_one_shape_and_drops_no_line() -> None:
    made = pipeline.pipeline()
    assert made["on_failure"], "a line that cannot be parsed is kept, with a tag"
    assert not [each for each in made["processors"] if "drop" in each]


ROOT = Path(__file__).parents[2]


def megabytes(text: str) -> int:
    """Of sizes such as 256mb and 10m."""
    return int(text.rstrip("mb"))


def test_lines_that_elasticsearch_does_not_take_wait_within_bounds_and_outlive_a_restart() -> None:
    """Filebeat and Logstash cannot be run here: this is what their settings promise."""
    logstash = yaml.safe_load(FILES["observability/elk/logstash/logstash.yml"]())
    beat = yaml.safe_load(FILES["observability/elk/filebeat/filebeat.yml"]())
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    assert logstash["queue.type"] == "persisted"
    assert megabytes(logstash["queue.max_bytes"]) + megabytes(logstash["dead_letter_queue.max_bytes"]) <= 512
    assert logstash["dead_letter_queue.storage_policy"] == "drop_older"
    assert beat["queue.mem"]["events"] <= 4096
    assert "logstash:/usr/share/logstash/data" in services["logstash"]["volumes"], "the queue outlives the container"
    assert "filebeat:/usr/share/filebeat/data" in services["filebeat"]["volumes"], "it goes on where it was"


def test_no_service_waits_for_its_log_to_be_shipped_and_no_log_fills_the_disk() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    for name, service in services.items():
        assert service["logging"]["driver"] == "json-file", name
        assert megabytes(service["logging"]["options"]["max-size"]) <= 10, name
        shippers_of_logs = {"filebeat", "logstash", "elasticsearch", "elk-setup", "kibana"}
        if name not in shippers_of_logs:
            assert not shippers_of_logs & set(service.get("depends_on", ())), name
