"""Every query of the dashboard of logs, asked of a real OpenSearch that took every log line of the story."""

from collections.abc import Iterator
from typing import Any

import pytest

from dstk_observability.dashboards import logs
from dstk_observability.dashboards.model import LogQuery, Panel
from observe.asked import Asked
from observe.log_store import LogStore, store_of
from observe.story import CLUSTER

pytestmark = [pytest.mark.observe, pytest.mark.timeout(900), pytest.mark.xdist_group("story")]

QUERIES = [(panel, query) for panel in logs.DASHBOARD.panels for query in panel.queries if isinstance(query, LogQuery)]


@pytest.fixture(scope="module")
def store(asked: Asked, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LogStore]:
    """With the lines of the story."""
    opening = store_of(tmp_path_factory.mktemp("logs") / "home", CLUSTER, asked.story.lines)
    yield asked.runner.run(opening.__aenter__())
    asked.runner.run(opening.__aexit__(None, None, None))


def _title(value: Any) -> str:
    return value.title.replace(" ", "-") if isinstance(value, Panel) else ""


@pytest.mark.parametrize(("panel", "query"), QUERIES, ids=_title)
def test_every_query_finds_lines(store: LogStore, panel: Panel, query: LogQuery) -> None:
    if query.split:
        counts = store.counts(query.lucene, query.split)
        assert sum(count for points in counts.values() for _, count in points), panel.title
    else:
        assert store.lines(query.lucene), panel.title


def test_one_process_can_be_selected(store: LogStore) -> None:
    query = next(query for panel, query in QUERIES if panel.title == "All lines")
    alone = LogStore(store.server, {**store.variables, "node": '("storage-2")'})
    found = alone.lines(query.lucene)
    assert found
    assert {line["service"]["node"]["name"] for line in found} == {"storage-2"}
    assert {line["service"]["name"] for line in found} == {"storage"}
