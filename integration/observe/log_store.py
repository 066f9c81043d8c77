"""A real OpenSearch that took every log line of the story, and what Grafana would ask it for the dashboard of logs."""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kit.opensearch import OpenSearch, opensearch, started

from dstk_observability.dashboards.log_fields import NODE, PARTITION, SERVICE, TIME
from dstk_observability.elk.index import opensearch_template
from dstk_observability.elk.names import DATA_STREAM, PIPELINE, TEMPLATE
from dstk_observability.elk.pipeline import pipeline

INTERVAL = "5s"
"""What Grafana makes of an automatic interval on a few minutes."""
VARIABLES = {"service": SERVICE, "node": NODE, "partition": PARTITION}
MOST_LINES = 500


@dataclass(frozen=True, slots=True)
class LogStore:
    """Answers queries. `variables`: as Grafana writes them into Lucene, each with all of its values."""

    server: OpenSearch
    variables: Mapping[str, str]

    def lines(self, lucene: str) -> list[dict[str, Any]]:
        """The newest lines, newest first."""
        body = {"size": MOST_LINES, "query": self._query(lucene), "sort": [{TIME: "desc"}]}
        return [hit["_source"] for hit in _search(self.server, body)["hits"]["hits"]]

    def counts(self, lucene: str, split: str) -> dict[str, list[tuple[float, float]]]:
        """How many lines there are over Unix time, for each value of a field."""
        times = {"date_histogram": {"field": TIME, "fixed_interval": INTERVAL, "min_doc_count": 0}}
        values = {"terms": {"field": split, "size": 10}, "aggs": {"times": times}}
        body = {"size": 0, "query": self._query(lucene), "aggs": {"values": values}}
        return {
            str(bucket["key"]): [(each["key"] / 1000, float(each["doc_count"])) for each in bucket["times"]["buckets"]]
            for bucket in _search(self.server, body)["aggregations"]["values"]["buckets"]
        }

    def _query(self, lucene: str) -> dict[str, Any]:
        text = re.sub(r"\$(\w+)", lambda name: self.variables[name[1]], lucene)
        return {"query_string": {"analyze_wildcard": True, "query": text}}


@asynccontextmanager
async def store_of(directory: Path, cluster: str, lines: Sequence[str]) -> AsyncIterator[LogStore]:
    """With the pipeline and the template that ship; raises AssertionError for a line that is refused."""
    with opensearch(directory) as process:
        server = await started(directory, process)
        server.call("PUT", f"_ingest/pipeline/{PIPELINE}", pipeline())
        server.call("PUT", f"_index_template/{TEMPLATE}", opensearch_template())
        documents = [{TIME: "2000-01-01T00:00:00.000Z", "message": line} for line in lines]
        refused = server.ingest(DATA_STREAM, documents)
        assert not refused, refused[:3]
        found = {name: _either(_values(server, field)) for name, field in VARIABLES.items()}
        yield LogStore(server, {"cluster": cluster, **found})


def _values(server: OpenSearch, field: str) -> list[str]:
    body = {"size": 0, "aggs": {"values": {"terms": {"field": field, "size": 1000}}}}
    return [str(bucket["key"]) for bucket in _search(server, body)["aggregations"]["values"]["buckets"]]


def _either(values: Sequence[str]) -> str:
    quoted = " OR ".join(f'"{value}"' for value in values)
    return f"({quoted})"


def _search(server: OpenSearch, body: Mapping[str, Any]) -> Any:
    return server.call("POST", f"{DATA_STREAM}/_search", body)
