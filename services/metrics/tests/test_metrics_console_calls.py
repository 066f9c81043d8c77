"""The calls of the console over HTTP: what MetricsApi says, in protobuf's JSON, and errors that say what is wrong."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from google.protobuf import json_format
from kit import console, metrics_data
from kit.examined import FakeFacts
from kit.fake_metrics import FakeMetrics, NoMap
from kit.http import Answer, ask
from kit.statuses import entry

from dstk.v1 import metrics_pb2
from dstk_doctor import Facts
from dstk_metrics.console.cluster_calls import OF_A_KIND
from dstk_metrics.console.server import ConsoleServer
from dstk_service.errors import PermissionDenied


@dataclass
class Console:
    api: FakeMetrics
    server: ConsoleServer

    async def post(self, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        data = body if isinstance(body, bytes) else json.dumps({} if body is None else body).encode()
        return await ask(self.server.address, "POST", path, data, headers)

    async def get(self, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        return await ask(self.server.address, "GET", path, b"", headers)


@pytest.fixture
async def busy() -> AsyncIterator[Console]:
    api = FakeMetrics(metrics_data.busy())
    async with console.serving(api) as server:
        yield Console(api, server)


CALLS = [
    ("ListPartitionStats", {"sortBy": "FIGURE_WRITES", "limit": 7, "offset": 3, "reverse": True}),
    ("ListPartitionStats", {"start": base64.b64encode(b"\x01").decode(), "limit": 10_000}),
    ("ListHotPartitions", {"by": "FIGURE_READS"}),
    ("EstimateRange", {}),
    ("GetSplitPoints", {"pieces": 4}),
    ("GetHistory", {"figure": "FIGURE_READS", "maxRows": 64, "maxColumns": 32}),
]


@pytest.mark.parametrize(("method", "fields"), CALLS, ids=[f"{name}-{at}" for at, (name, _) in enumerate(CALLS)])
async def test_a_call_answers_what_the_api_says(busy: Console, method: str, fields: dict[str, Any]) -> None:
    answer = await busy.post(f"/api/v1/{method}", fields)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    request = json_format.ParseDict(fields, getattr(metrics_pb2, f"{method}Request")())
    name = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in method).lstrip("_")
    expected = await getattr(busy.api, name)(request)
    assert json_format.Parse(answer.body, type(expected)()) == expected


async def test_zeros_are_there_so_that_a_page_needs_no_defaults(busy: Console) -> None:
    row = (await busy.post("/api/v1/ListPartitionStats", {"limit": 1})).json["partitions"][0]
    assert {field.json_name for field in metrics_pb2.PartitionStats.DESCRIPTOR.fields} == set(row)


BAD = [
    ("ListPartitionStats", {"limit": 10_001}, "limit", "10001", "0..10000"),
    ("ListPartitionStats", {"sortBy": 77}, "sort_by", "77", "1..10"),
    ("ListPartitionStats", {"sortBy": "FIGURE_BEAUTY"}, "sortBy", "FIGURE_BEAUTY", "Invalid enum value"),
    ("ListPartitionStats", {"start": "Yg==", "end": "YQ=="}, "start", "b'b'", "not above end"),
    ("ListPartitionStats", {"start": "AAAA" * 342}, "start", "x00", "0..1024 bytes"),
    ("ListPartitionStats", {"start": 7}, "start", "7", "JSON"),
    ("ListPartitionStats", {"colour": "red"}, "colour", "red", "no field named"),
    ("ListPartitionStats", {"limit": -1}, "limit", "-1", "JSON"),
    ("ListPartitionStats", {"limit": [1]}, "limit", "[1]", "JSON"),
    ("ListHotPartitions", {"by": "FIGURE_LAG"}, "by", "LAG", "one of READS"),
    ("GetHistory", {"figure": "FIGURE_READS", "maxRows": 1537}, "max_rows", "1537", "0..1536"),
    ("GetHistory", {}, "figure", "UNSPECIFIED", "has a history"),
    ("GetSplitPoints", {}, "piece_bytes", "none", "give one"),
]


@pytest.mark.parametrize(
    ("method", "fields", "field", "value", "limit"), BAD, ids=[f"{row[0]}-{row[2]}-{at}" for at, row in enumerate(BAD)]
)
async def test_a_bad_field_is_named_with_its_value_and_its_limit(
    busy: Console, method: str, fields: dict[str, Any], field: str, value: str, limit: str
) -> None:
    answer = await busy.post(f"/api/v1/{method}", fields)
    found = answer.json
    assert (answer.status, found["reason"], found["field"]) == (400, "INVALID_ARGUMENT", field)
    assert value in found["value"]
    assert limit in found["limit"]
    assert found["message"]


@pytest.mark.parametrize(
    "body",
    [b"{", b"[]", b"7", b"\xff\xfe", b'{"a":' * 5000, b'"text"'],
    ids=["open", "list", "number", "bytes", "deep", "text"],
)
async def test_a_body_that_is_no_object_is_refused(busy: Console, body: bytes) -> None:
    answer = await busy.post("/api/v1/ListPartitionStats", body)
    assert (answer.status, answer.json["field"]) == (400, "body")


async def test_what_a_console_does_not_have_is_said_in_json(busy: Console) -> None:
    unknown = await busy.post("/api/v1/DropEverything")
    assert (unknown.status, unknown.json["reason"]) == (404, "NOT_FOUND")
    assert "ListPartitionStats" in unknown.json["message"]
    assert (await busy.post("/api/v1/WatchStats")).status == 404
    assert (await busy.get("/api/v1/EstimateRange")).status == 404
    assert (await busy.get("/nothing")).json["reason"] == "NOT_FOUND"
    verb = await ask(busy.server.address, "DELETE", "/api/v1/EstimateRange", b"")
    assert (verb.status, verb.json["reason"]) == (405, "METHOD_NOT_ALLOWED")


async def test_without_a_map_calls_say_so_and_when_to_try_again() -> None:
    async with console.serving(NoMap()) as server:
        made = Console(NoMap(), server)
        for answer in (await made.post("/api/v1/ListPartitionStats"), await made.get("/api/v1/WatchStats")):
            assert (answer.status, answer.json["reason"], answer.json["retryAfterS"]) == (503, "NOT_SERVING", 1.0)


async def test_a_defect_is_an_internal_error_without_its_text(busy: Console, caplog: pytest.LogCaptureFixture) -> None:
    busy.api.trouble = RuntimeError("a secret path")
    answer = await busy.post("/api/v1/EstimateRange")
    assert (answer.status, answer.json["reason"]) == (500, "INTERNAL")
    assert b"secret" not in answer.body
    assert "a secret path" in caplog.text


async def test_keys_are_shown_and_read_as_the_command_line_does(busy: Console) -> None:
    keys = [b"plain", b"\x00\x1b", "\u202e".encode(), b"\xff" * 1024, b"<script>"]
    shown = (await busy.post("/api/keys/display", [base64.b64encode(key).decode() for key in keys])).json
    assert shown == ["plain", "0x001b", "0xe280ae", "0x" + "ff" * 1024, "<script>"]
    again = (await busy.post("/api/keys/parse", shown)).json
    assert [base64.b64decode(each) for each in again] == keys


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("display", ["not base64!"]),
        ("display", [7]),
        ("display", {"a": 1}),
        ("display", ["" for _ in range(2049)]),
        ("parse", ["(1,"]),
        ("parse", [7]),
        ("parse", ["a" * 1025]),
    ],
    ids=lambda value: str(value)[:20],
)
async def test_keys_that_are_none_are_refused(busy: Console, path: str, body: Any) -> None:
    answer = await busy.post(f"/api/keys/{path}", body)
    assert (answer.status, answer.json["reason"]) == (400, "INVALID_ARGUMENT")


async def test_the_cluster_is_what_nodes_and_doctor_say(busy: Console) -> None:
    found = (await busy.get("/api/cluster")).json
    facts = console.well()
    assert found["healthy"]
    assert [each["node"]["id"] for each in found["nodes"]] == [each.node.id for each in facts.nodes]
    assert [each["action"] for each in found["events"]] == ["failover", "split"]
    replicas = (await busy.get("/api/replicas?partition=2")).json
    assert [each["node"] for each in replicas["replicas"]] == ["storage-2", "storage-3", "storage-1"]
    assert replicas["status"]["partition"]["inSync"] == ["storage-2", "storage-3", "storage-1"]
    assert (await busy.get("/api/replicas?partition=x")).json["field"] == "partition"


async def test_a_silent_node_is_a_finding_with_what_to_do() -> None:
    async with console.serving(FakeMetrics(), console.node_silent) as server:
        found = (await ask(server.address, "GET", "/api/cluster")).json
    (finding,) = [each for each in found["findings"] if each["kind"] == "node_silent"]
    assert (finding["severity"], finding["where"]) == ("error", "storage-2")
    assert finding["run"].startswith("dstk ")
    assert found["silentNodes"] == ["storage-2"]


async def test_without_the_token_the_cluster_is_refused_and_figures_are_not() -> None:
    def denied() -> Facts:
        raise PermissionDenied("the admin token is missing")

    async with console.serving(FakeMetrics(metrics_data.busy()), denied) as server:
        answer = await ask(server.address, "GET", "/api/cluster")
        assert (answer.status, answer.json["reason"]) == (403, "PERMISSION_DENIED")
        assert (await ask(server.address, "POST", "/api/v1/ListPartitionStats", b"{}")).status == 200


async def test_clients_share_one_gathering() -> None:
    gathered = 0

    def facts() -> Facts:
        nonlocal gathered
        gathered += 1
        return console.well()

    async with console.serving(FakeMetrics(), facts) as server:
        answers = await asyncio.gather(*(ask(server.address, "GET", "/api/cluster") for _ in range(50)))
    assert {answer.status for answer in answers} == {200}
    assert gathered == 1


async def test_of_many_findings_of_a_kind_the_first_are_sent_and_all_are_counted() -> None:
    def facts() -> Facts:
        made = FakeFacts()
        borders = [b"", *(b"%03d" % number for number in range(1, 40)), b""]
        made.entries = [
            entry(number + 1, "12/3", start=borders[number], end=borders[number + 1])
            for number in range(len(borders) - 1)
        ]
        return made.facts()

    async with console.serving(FakeMetrics(), facts) as server:
        found = (await ask(server.address, "GET", "/api/cluster")).json
    kinds = [each["kind"] for each in found["findings"]]
    assert kinds.count("under_replicated") == OF_A_KIND
    assert found["kinds"]["under_replicated"] == found["severities"]["warning"] == 40
