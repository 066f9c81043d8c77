"""The index template, and how long an index is kept: as ILM of Elasticsearch, and as ISM of OpenSearch."""

from typing import Any

from dstk_observability.elk.mapping import mapping
from dstk_observability.elk.names import LIFECYCLE, PATTERN, PIPELINE

PRIORITY = 500
"""Above Elasticsearch's own template for logs-*-*."""

ROLLOVER_BYTES, ROLLOVER_AGE, KEPT = "10gb", "1d", "30d"


def template(*, dynamic: str = "false") -> dict[str, Any]:
    """The composable index template of the data stream."""
    settings = {
        "index": {
            "codec": "best_compression",
            "default_pipeline": PIPELINE,
            "lifecycle": {"name": LIFECYCLE},
            "number_of_replicas": 0,
            "number_of_shards": 1,
            "query": {"default_field": ["message", "error.message", "event.reason"]},
        }
    }
    return {
        "index_patterns": [PATTERN],
        "priority": PRIORITY,
        "data_stream": {},
        "template": {"settings": settings, "mappings": mapping(dynamic)},
        "_meta": {"description": "Logs of DSTK; one replica per index has to be added on a cluster of several nodes"},
    }


def opensearch_template(*, dynamic: str = "false") -> dict[str, Any]:
    """The same for OpenSearch, which knows no ILM: its ISM policy names the pattern instead."""
    made = template(dynamic=dynamic)
    del made["template"]["settings"]["index"]["lifecycle"]
    return made


def lifecycle() -> dict[str, Any]:
    """The ILM policy: a new index a day, or when one is large; each is deleted after a month."""
    hot = {"rollover": {"max_primary_shard_size": ROLLOVER_BYTES, "max_age": ROLLOVER_AGE}}
    warm = {"forcemerge": {"max_num_segments": 1}, "readonly": {}}
    return {
        "policy": {
            "phases": {
                "hot": {"min_age": "0ms", "actions": hot},
                "warm": {"min_age": "2d", "actions": warm},
                "delete": {"min_age": KEPT, "actions": {"delete": {}}},
            }
        }
    }


def opensearch_lifecycle() -> dict[str, Any]:
    """The same as an ISM policy."""
    rollover = {"rollover": {"min_primary_shard_size": ROLLOVER_BYTES, "min_index_age": ROLLOVER_AGE}}
    merged: list[dict[str, Any]] = [{"force_merge": {"max_num_segments": 1}}, {"read_only": {}}]
    return {
        "policy": {
            "description": "Logs of DSTK: a new index a day, or when one is large; each is deleted after a month",
            "default_state": "hot",
            "ism_template": [{"index_patterns": [PATTERN], "priority": PRIORITY}],
            "states": [
                _state("hot", [rollover], "warm", "2d"),
                _state("warm", merged, "delete", KEPT),
                {"name": "delete", "actions": [{"delete": {}}], "transitions": []},
            ],
        }
    }


def _state(name: str, actions: list[dict[str, Any]], then: str, age: str) -> dict[str, Any]:
    transition = {"state_name": then, "conditions": {"min_index_age": age}}
    return {"name": name, "actions": actions, "transitions": [transition]}
