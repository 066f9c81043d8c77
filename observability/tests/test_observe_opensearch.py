"""A real OpenSearch takes the index template, the data stream and the pipeline, and every line of a cluster that fails over."""

import json
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from kit.log_lines import KEPT, record
from kit.opensearch import OpenSearch, opensearch, started
from kit.operators import operator_at
from kit.process_cluster import ProcessCluster

from dstk_client import connect
from dstk_keytypes import Key
from dstk_observability.elk.index import opensearch_template
from dstk_observability.elk.names import DATA_STREAM, PIPELINE, TEMPLATE, UNPARSED
from dstk_observability.elk.pipeline import pipeline
from dstk_observability.elk.searches import SEARCHES
from dstk_service.errors import DstkError
from dstk_service.logs.fields import FIELDS, FieldType
from dstk_service.logs.formats import EcsFormatter
from dstk_service.logs.privacy import show
from dstk_service.testing import eventually

pytestmark = [pytest.mark.observe, pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.xdist_group("opensearch")]

KNOWN = {
    "service.name": "storage",
    "service.type": "dstk",
    "service.version": "1",
    "service.node.name": "a",
    "dstk.cluster": "c",
}
VALUES: Mapping[FieldType, Any] = {FieldType.LONG: 7, FieldType.DOUBLE: 0.5}


def shipped(line: str, number: int = 0) -> dict[str, Any]:
    """What Filebeat and Logstash make of a line."""
    return {
        "@timestamp": "2000-01-01T00:00:00.000Z",
        "@version": "1",
        "message": line,
        "event": {"original": line},
        "stream": "stderr",
        "tags": ["beats_input_raw_event"],
        "input": {"type": "container"},
        "log": {"file": {"path": "/var/lib/docker/containers/x/x-json.log"}, "offset": number},
        "container": {"id": "x", "name": "dstk-storage-1", "image": {"name": "dstk:dev"}},
        "host": {"name": "here"},
        "agent": {"name": "here", "type": "filebeat", "version": "9"},
        "ecs": {"version": "8.0.0"},
    }


async def make_trouble(cluster: ProcessCluster) -> None:
    """Splits, kills a primary until another node takes over, pauses the controller, and starts it again."""
    async with operator_at(cluster.address("router")) as operator, connect(cluster.address("router")) as client:
        await operator.split(Key.text("f"))
        await operator.pause_controller()
        primary = await operator.primary_of(Key.text("a"))
        cluster.kill(primary)

        async def writes_go_on() -> bool:
            try:
                await client.put(Key.text("a"), b"v")
            except DstkError:
                return False
            return True

        await eventually(writes_go_on)
        await cluster.start(primary)
        await operator.healed()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("opensearch") / "home"


@pytest.fixture(scope="module")
def process(home: Path) -> Iterator[Any]:
    with opensearch(home) as running:
        yield running


@pytest.fixture
async def server(home: Path, process: Any) -> AsyncIterator[OpenSearch]:
    """With a template that refuses what it does not know, and an empty data stream."""
    made = await started(home, process)
    made.call("PUT", f"_ingest/pipeline/{PIPELINE}", pipeline())
    made.call("PUT", f"_index_template/{TEMPLATE}", opensearch_template(dynamic="strict"))
    yield made
    made.call("DELETE", f"_data_stream/{DATA_STREAM}")


async def test_every_field_of_the_registry_is_taken(server: OpenSearch) -> None:
    formatter = EcsFormatter(KNOWN, show)
    lines = [record("x", **{key: VALUES.get(field.type, "text")}) for key, field in FIELDS.items()]
    lines.append(record("x", action="split", other=3))
    try:
        raise OSError("full")
    except OSError as error:
        failed = record("x")
        failed.exc_info = type(error), error, error.__traceback__
    documents = [shipped(formatter.format(line)) for line in (*lines, failed)]
    assert server.ingest(DATA_STREAM, documents) == []
    assert server.count(DATA_STREAM, "*") == len(documents)
    for field in FIELDS.values():
        assert server.count(DATA_STREAM, f"_exists_:{field.name}"), f"{field.name} is not indexed"
    (found,) = server.search(DATA_STREAM, "error.type:OSError")
    assert found["@timestamp"] != "2000-01-01T00:00:00.000Z", "the line's own time counts"
    assert (found["service"]["node"]["name"], found["log"]["file"]["path"][:8]) == ("a", "/var/lib")
    assert "original" not in found["event"]


ETCD_LINES = {
    '{"level":"warn","ts":"2026-01-02T03:04:05.678Z","caller":"wal/wal.go:1","msg":"slow fdatasync","took":"2s"}': "warning",
    '{"level":"fatal","ts":1767323045.678,"caller":"a.go:1","msg":"gone","error":"EOF","stacktrace":"a\\nb"}': "critical",
    '{"level":"info","ts":"2026-01-02T03:04:05.678Z","logger":"raft","caller":"a.go:1","msg":"elected"}': "info",
}


async def test_lines_of_etcd_get_the_same_shape(server: OpenSearch) -> None:
    assert server.ingest(DATA_STREAM, map(shipped, ETCD_LINES)) == []
    for line, level in ETCD_LINES.items():
        text = json.loads(line)["msg"]
        (found,) = server.search(DATA_STREAM, f'service.name:etcd AND message:"{text}"')
        assert (found["log"]["level"], found["message"]) == (level, text)
        assert found["@timestamp"].startswith("2026-01-02T03:04:05.678")
    assert server.search(DATA_STREAM, "_exists_:etcd.details")[0]["etcd"]["details"] == ["took=2s"]
    assert server.search(DATA_STREAM, "error.message:EOF")[0]["error"]["stack_trace"] == "a\nb"


OTHER_LINES = ("error: no room", "[NOTICE] (1) : New worker forked", '{"half": ', '{"level": "info"}', "{}", "[1]", "")


async def test_any_other_line_is_kept_with_a_tag(server: OpenSearch) -> None:
    assert server.ingest(DATA_STREAM, map(shipped, OTHER_LINES)) == []
    found = server.search(DATA_STREAM, f"tags:{UNPARSED}")
    assert sorted(each["message"] for each in found) == sorted(OTHER_LINES)
    assert [each["message"] for each in found if "level" in each["log"]] == ["error: no room"]


Line = Mapping[str, Any]
EXPECTED: dict[str, Callable[[Line], bool]] = {
    "dstk-all": lambda line: True,
    "dstk-errors": lambda line: line.get("log.level", line.get("level")) in {"error", "critical", "fatal", "panic"},
    "dstk-exceptions": lambda line: "error.stack_trace" in line,
    "dstk-audit": lambda line: "event.action" in line,
    "dstk-requested": lambda line: line.get("dstk.origin") in {"operator", "controller"} and "event.action" in line,
    "dstk-callers": lambda line: line.get("service.name") == "router" and "error.code" in line,
    "dstk-lost": lambda line: "dstk.log.suppressed" in line or "dstk.log.dropped" in line,
}
"""Of some searches: which lines they find."""


async def logs_of_a_failover(directory: Path) -> dict[str, str]:
    """The logs of a cluster that has failed over, by process."""
    async with ProcessCluster(directory, nodes=3, splits=["m"], router=True) as cluster:
        await make_trouble(cluster)
        for name in cluster.names:
            assert await cluster.stop(name) == 0
        return {name: cluster.log(name) for name in (*cluster.speakers, "etcd")}


def kept_lines(directory: Path) -> list[str]:
    return sorted({line for log in directory.glob("*.log") for line in log.read_text().splitlines()})


@pytest.mark.skipif(KEPT not in os.environ, reason=f"{KEPT} names no directory in which suites have kept lines")
async def test_every_shape_of_line_that_the_suites_have_kept_is_taken(server: OpenSearch) -> None:
    kept = kept_lines(Path(os.environ[KEPT]))
    assert kept, "the suites have run before"
    assert server.ingest(DATA_STREAM, map(shipped, kept)) == []
    assert server.count(DATA_STREAM, "*") == len(kept)
    unparsed = {each["message"] for each in server.search(DATA_STREAM, f"tags:{UNPARSED}")}
    assert not [line for line in unparsed if line.startswith("{")]


async def test_every_line_of_a_cluster_is_taken_and_the_searches_find_it(server: OpenSearch, tmp_path: Path) -> None:
    logs = await logs_of_a_failover(tmp_path)
    ours = [line for name, log in logs.items() if name != "etcd" for line in log.splitlines()]
    etcd = logs["etcd"].splitlines()
    assert len(ours) > 50
    assert len(etcd) > 20
    assert server.ingest(DATA_STREAM, [shipped(line, number) for number, line in enumerate([*ours, *etcd])]) == []
    assert server.count(DATA_STREAM, "*") == len(ours) + len(etcd)
    assert server.count(DATA_STREAM, f"tags:{UNPARSED}") == 0
    lines: list[Line] = [json.loads(line) for line in [*ours, *etcd]]
    found = {search.id: server.count(DATA_STREAM, search.query) for search in SEARCHES}
    assert {name: found[name] for name in EXPECTED} == {
        name: sum(map(takes, lines)) for name, takes in EXPECTED.items()
    }
    for name in ("dstk-audit", "dstk-requested", "dstk-failovers"):
        assert found[name] > 0, name
    failovers = server.search(DATA_STREAM, "event.action:failover")
    assert failovers
    assert all(each["dstk"]["partition"] and each["dstk"]["epoch"] for each in failovers)
