"""What Grafana reads at its start: its data sources and where dashboards are."""

from typing import Any, Final

from dstk_observability.dashboards import log_fields
from dstk_observability.dashboards.sources import ELASTICSEARCH, JAEGER, PROMETHEUS, TYPES
from dstk_observability.documents import as_yaml
from dstk_observability.elk.names import PATTERN
from dstk_observability.prometheus import SCRAPE_SECONDS

MOUNTED: Final = "/etc/grafana/dashboards"
"""Where the compose stack mounts the dashboards."""
TRACE_ID: Final = "trace_id"
"""The label of exemplars."""


def data_sources() -> str:
    """datasources/dstk.yml. Traces, logs and metrics lead to each other."""
    sources = [_prometheus(), _jaeger(), _elasticsearch()]
    return as_yaml({"apiVersion": 1, "prune": True, "datasources": sources})


def providers() -> str:
    """dashboards/dstk.yml: the dashboards are files, and nobody edits them in Grafana."""
    provider = {
        "name": "dstk",
        "folder": "DSTK",
        "type": "file",
        "disableDeletion": True,
        "allowUiUpdates": False,
        "options": {"path": MOUNTED},
    }
    return as_yaml({"apiVersion": 1, "providers": [provider]})


def _prometheus() -> dict[str, Any]:
    exemplars = [{"name": TRACE_ID, "datasourceUid": JAEGER, "urlDisplayLabel": "Trace"}]
    options = {"httpMethod": "POST", "timeInterval": f"{SCRAPE_SECONDS}s", "exemplarTraceIdDestinations": exemplars}
    return {**_source("Prometheus", PROMETHEUS, "http://prometheus:9090", options), "isDefault": True}


def _jaeger() -> dict[str, Any]:
    """Grafana replaces variables of the environment in these files: a dollar of its own is written twice."""
    to_logs = {
        "datasourceUid": ELASTICSEARCH,
        "spanStartTimeShift": "-1m",
        "spanEndTimeShift": "1m",
        "customQuery": True,
        "query": f'{log_fields.TRACE}:"$${{__trace.traceId}}"',
    }
    return _source("Jaeger", JAEGER, "http://jaeger:16686", {"tracesToLogsV2": to_logs, "nodeGraph": {"enabled": True}})


def _elasticsearch() -> dict[str, Any]:
    to_traces = [
        {"field": log_fields.TRACE, "url": "$${__value.raw}", "datasourceUid": JAEGER, "urlDisplayLabel": "Trace"}
    ]
    options = {
        "index": PATTERN,
        "timeField": log_fields.TIME,
        "logMessageField": log_fields.MESSAGE,
        "logLevelField": log_fields.LEVEL,
        "dataLinks": to_traces,
    }
    return _source("Elasticsearch", ELASTICSEARCH, "http://elasticsearch:9200", options)


def _source(name: str, uid: str, url: str, options: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "uid": uid,
        "type": TYPES[uid],
        "access": "proxy",
        "url": url,
        "editable": False,
        "jsonData": options,
    }
