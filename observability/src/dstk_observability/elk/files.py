"""The files of this package: paths in the repository, and what renders them."""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

from dstk_observability.documents import as_yaml
from dstk_observability.elk import index, kibana, page, pipeline, shippers

DIRECTORY = "observability/elk"


def _json(content: Callable[[], Any]) -> str:
    return json.dumps(content(), indent=2) + "\n"


def _yaml(content: Callable[[], Any]) -> str:
    return as_yaml(content())


FILES: dict[str, Callable[[], str]] = {
    f"{DIRECTORY}/elasticsearch/index-template.json": partial(_json, index.template),
    f"{DIRECTORY}/elasticsearch/lifecycle.json": partial(_json, index.lifecycle),
    f"{DIRECTORY}/elasticsearch/pipeline.json": partial(_json, pipeline.pipeline),
    f"{DIRECTORY}/opensearch/index-template.json": partial(_json, index.opensearch_template),
    f"{DIRECTORY}/opensearch/lifecycle.json": partial(_json, index.opensearch_lifecycle),
    f"{DIRECTORY}/filebeat/filebeat.yml": partial(_yaml, shippers.filebeat),
    f"{DIRECTORY}/logstash/pipeline/dstk.conf": shippers.logstash,
    f"{DIRECTORY}/logstash/logstash.yml": partial(_yaml, shippers.logstash_settings),
    f"{DIRECTORY}/kibana/dstk.ndjson": kibana.ndjson,
    "docs/logs.md": page.page,
}
