"""Kibana's objects, as one file that it imports: the data view, the saved searches, and a dashboard of them."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from dstk_observability.elk.names import PATTERN
from dstk_observability.elk.searches import SEARCHES, Search

VIEW, DASHBOARD = "dstk-logs", "dstk-logs-overview"
CORE = "8.8.0"
"""The version of Kibana whose shapes these are; newer ones migrate them on import."""

TYPES = {"index-pattern": "8.0.0", "search": "8.0.0", "visualization": "8.5.0", "dashboard": "8.9.0"}

WIDTH = 48
"""Columns of a dashboard's grid."""

_INDEX = "kibanaSavedObjectMeta.searchSourceJSON.index"
Reference = dict[str, str]


def objects() -> list[dict[str, Any]]:
    """All objects; what one refers to comes before it."""
    charts = [
        _chart("dstk-lines-over-time", "Lines over time, by level", "histogram", "log.level", "*", over_time=True),
        _chart("dstk-lines-by-node", "Lines by node", "horizontal_bar", "service.node.name", "*"),
        _chart("dstk-actions", "Actions of the control plane", "horizontal_bar", "event.action", "event.kind:event"),
        _chart("dstk-reasons", "Why operations were refused or retried", "horizontal_bar", "error.code", "*"),
    ]
    return [_view(), *map(_search, SEARCHES), *charts, _dashboard([chart["id"] for chart in charts])]


def ndjson() -> str:
    """The file: one object a line."""
    return "".join(json.dumps(each, sort_keys=True) + "\n" for each in objects())


def _object(kind: str, name: str, attributes: dict[str, Any], references: Sequence[Reference] = ()) -> dict[str, Any]:
    return {
        "id": name,
        "type": kind,
        "attributes": attributes,
        "references": list(references),
        "coreMigrationVersion": CORE,
        "typeMigrationVersion": TYPES[kind],
        "managed": False,
    }


def _view() -> dict[str, Any]:
    duration = {"id": "duration", "params": {"inputFormat": "nanoseconds", "outputFormat": "humanizePrecise"}}
    formats = {"event.duration": duration, "dstk.disk.free_bytes": {"id": "bytes"}, "dstk.bytes": {"id": "bytes"}}
    attributes = {"title": PATTERN, "name": "DSTK logs", "timeFieldName": "@timestamp"}
    return _object("index-pattern", VIEW, {**attributes, "fieldFormatMap": json.dumps(formats, sort_keys=True)})


def _source(query: str) -> dict[str, str]:
    source = {"query": {"query": query, "language": "lucene"}, "filter": [], "indexRefName": _INDEX}
    return {"searchSourceJSON": json.dumps(source, sort_keys=True)}


def _to_view() -> Reference:
    return {"id": VIEW, "name": _INDEX, "type": "index-pattern"}


def _search(search: Search) -> dict[str, Any]:
    attributes = {
        "title": search.title,
        "description": search.meaning,
        "columns": [*search.columns, "message"],
        "sort": [["@timestamp", "desc"]],
        "kibanaSavedObjectMeta": _source(search.query),
    }
    return _object("search", search.id, attributes, [_to_view()])


def _chart(name: str, title: str, kind: str, field: str, query: str, *, over_time: bool = False) -> dict[str, Any]:
    """Counts lines by the values of a field, over time or in all."""
    count = {"id": "1", "enabled": True, "type": "count", "schema": "metric", "params": {}}
    times = {"field": "@timestamp", "interval": "auto", "min_doc_count": 1}
    time = {"id": "2", "enabled": True, "type": "date_histogram", "schema": "segment", "params": times}
    terms = {"field": field, "size": 20, "order": "desc", "orderBy": "1"}
    schema = "group" if over_time else "segment"
    by_value = {"id": "3", "enabled": True, "type": "terms", "schema": schema, "params": terms}
    state = {
        "title": title,
        "type": kind,
        "aggs": [count, *([time] if over_time else []), by_value],
        "params": {"type": kind, "addLegend": over_time, "addTooltip": True},
    }
    attributes = {
        "title": f"DSTK: {title}",
        "description": title,
        "visState": json.dumps(state, sort_keys=True),
        "uiStateJSON": "{}",
        "version": 1,
        "kibanaSavedObjectMeta": _source(query),
    }
    return _object("visualization", name, attributes, [_to_view()])


PANELS = ("dstk-errors", "dstk-failovers", "dstk-requested", "dstk-disks")
"""Searches that the dashboard shows as tables."""


def _dashboard(charts: Sequence[str]) -> dict[str, Any]:
    panels, references = [], []
    for number, (kind, name, grid) in enumerate(_grid(charts), 1):
        reference = f"panel_{number}"
        index = str(number)
        panels.append(
            {
                "type": kind,
                "panelIndex": index,
                "gridData": {**grid, "i": index},
                "embeddableConfig": {},
                "panelRefName": reference,
            }
        )
        references.append({"id": name, "name": f"{index}:{reference}", "type": kind})
    attributes = {
        "title": "DSTK: logs",
        "description": "How much is logged, what the control plane does, what fails",
        "panelsJSON": json.dumps(panels, sort_keys=True),
        "optionsJSON": json.dumps({"useMargins": True, "syncColors": True}, sort_keys=True),
        "timeRestore": True,
        "timeFrom": "now-1h",
        "timeTo": "now",
        "version": 2,
        "kibanaSavedObjectMeta": {
            "searchSourceJSON": json.dumps({"query": {"query": "", "language": "lucene"}, "filter": []})
        },
    }
    return _object("dashboard", DASHBOARD, attributes, references)


def _grid(charts: Sequence[str]) -> Iterator[tuple[str, str, dict[str, int]]]:
    """Kind, id and place of each panel: charts two in a row, tables over the whole width."""
    half, height = WIDTH // 2, 12
    for at, chart in enumerate(charts):
        yield "visualization", chart, {"x": at % 2 * half, "y": at // 2 * height, "w": half, "h": height}
    below = -(-len(charts) // 2) * height
    for at, search in enumerate(PANELS):
        yield "search", search, {"x": 0, "y": below + at * height, "w": WIDTH, "h": height}
