"""`dstk count` and `dstk splits` against a scripted router: what is asked, printed, and refused."""

import json
from typing import Any

import pytest

from dstk.v1 import metrics_pb2
from dstk_keytypes import KeyRange
from dstk_service.errors import NotServing

ESTIMATE = metrics_pb2.EstimateRangeResponse(
    records=1234567,
    records_low=1200000,
    records_high=1260000,
    bytes=98 << 20,
    bytes_low=97 << 20,
    bytes_high=99 << 20,
    partitions=12,
    measured_partitions=2,
)
PIECES = [
    metrics_pb2.RangePiece(end=b"m", records=1000, bytes=1 << 20, partition_id=1, primary="storage-1"),
    metrics_pb2.RangePiece(start=b"m", records=2000, bytes=2 << 20, partition_id=2, primary="storage-2"),
]


@pytest.fixture
def cluster(operate: Any) -> Any:
    operate.router.answers["EstimateRange"] = [ESTIMATE]
    operate.router.answers["GetSplitPoints"] = [_asked_for(operate.router)]
    return operate


def _asked_for(router: Any) -> Any:
    def answer(request: Any) -> metrics_pb2.GetSplitPointsResponse:
        router.split_request = request
        return metrics_pb2.GetSplitPointsResponse(pieces=PIECES)

    return answer


def _bounds(key_range: KeyRange) -> tuple[bytes, bytes]:
    return key_range.start, key_range.end or b""


def test_a_count_is_shown_with_its_bounds(cluster: Any) -> None:
    shown = cluster("count")
    assert shown.exit_code == 0, shown.output
    assert shown.stdout.splitlines() == [
        "~1,234,567 records   ~98 MiB",
        "1,200,000 to 1,260,000 records, 97 MiB to 99 MiB, in 99 of 100 cases",
        "all keys: 12 partitions, 2 of them measured",
    ]


@pytest.mark.parametrize(
    ("arguments", "start", "end"),
    [
        ([], b"", b""),
        (["user:"], b"user:", b"user;"),
        (["--prefix", "user:", "--start", "user:b"], b"user:b", b"user;"),
        (["--start", "b", "--end", "d"], b"b", b"d"),
        (["--prefix", '("city","FR")'], *_bounds(KeyRange.tuple_prefix("city", "FR"))),
        (["--start", "0x00ff"], b"\x00\xff", b""),
    ],
)
def test_the_range_is_named_as_for_a_scan(cluster: Any, arguments: list[str], start: bytes, end: bytes) -> None:
    assert cluster("count", *arguments).exit_code == 0
    ((_, request),) = cluster.router.asked
    assert (request.start, request.end) == (start, end)
    assert cluster("splits", "--pieces", "2", *arguments).exit_code == 0
    assert (cluster.router.split_request.start, cluster.router.split_request.end) == (request.start, request.end)


def test_a_count_as_json(cluster: Any) -> None:
    found = json.loads(cluster("count", "user:", "--output", "json").stdout)
    assert found["start"] == "user:"
    assert (found["exact"], found["records"], found["records_low"], found["bytes_high"]) == (
        False,
        1234567,
        1200000,
        99 << 20,
    )


def test_an_exact_count_reads_all_keys(shell: Any) -> None:
    for name in ("user:1", "user:2", "x"):
        assert shell("put", name, "v").exit_code == 0
    assert shell("count", "user:", "--exact").stdout == "2 records\n"
    assert json.loads(shell("count", "--exact", "-o", "json").stdout) == {
        "start": None,
        "end": None,
        "exact": True,
        "records": 3,
    }


def test_pieces_are_listed_in_order(cluster: Any) -> None:
    shown = cluster("splits", "--bytes", "1.5MiB", "--across-partitions")
    assert shown.exit_code == 0, shown.output
    head, first, second = shown.stdout.splitlines()
    assert head.split() == ["start", "end", "~records", "~size", "partition", "node"]
    assert first.split() == ["1", "(first)", "m", "1,000", "1.0", "MiB", "1", "storage-1"]
    assert second.split() == ["2", "m", "(last)", "2,000", "2.0", "MiB", "2", "storage-2"]
    assert "2 pieces" in shown.stderr
    assert cluster.router.split_request == metrics_pb2.GetSplitPointsRequest(
        piece_bytes=3 << 19, across_partitions=True
    )


@pytest.mark.parametrize(
    ("option", "value", "field"), [("--records", "5", "piece_records"), ("--pieces", "7", "pieces")]
)
def test_pieces_can_be_asked_for_by_records_and_by_number(cluster: Any, option: str, value: str, field: str) -> None:
    assert cluster("splits", option, value).exit_code == 0
    assert getattr(cluster.router.split_request, field) == int(value)


def test_pieces_as_json_have_keys_as_commands_take_them(cluster: Any) -> None:
    found = json.loads(cluster("splits", "--pieces", "2", "-o", "json").stdout)["pieces"]
    assert [(piece["start"], piece["end"], piece["records"]) for piece in found] == [
        (None, "m", 1000),
        ("m", None, 2000),
    ]


def test_of_many_pieces_the_table_shows_the_first_ones(cluster: Any) -> None:
    cluster.router.answers["GetSplitPoints"] = [metrics_pb2.GetSplitPointsResponse(pieces=PIECES * 500)]
    shown = cluster("splits", "--pieces", "1000")
    assert len(shown.stdout.splitlines()) == 201
    assert "200 of 1,000 pieces: --output json has all" in shown.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "how large are the pieces?"),
        (["--bytes", "1MiB", "--pieces", "2"], "--bytes and --pieces exclude each other"),
        (["--bytes", "64 parsecs"], "is not a size"),
        (["--bytes", "0"], "is out of bounds"),
        (["--bytes", "0.3"], "is out of bounds"),
        (["--bytes", "2TiB"], "is out of bounds"),
        (["--pieces", "100001"], "--pieces"),
        (["--records", "0"], "--records"),
        (["a", "--prefix", "a", "--pieces", "2"], "have the same meaning"),
        (["--start", "b", "--end", "a", "--pieces", "2"], "above"),
    ],
)
def test_sizes_and_ranges_that_are_none_are_refused(cluster: Any, arguments: list[str], said: str) -> None:
    refused = cluster("splits", *arguments)
    assert refused.exit_code == 2, refused.output
    assert said in refused.stderr


@pytest.mark.parametrize("command", [["count"], ["splits", "--pieces", "2"], ["hot"], ["top", "--once"]])
def test_without_a_metrics_service_a_command_says_how_to_start_one(operate: Any, command: list[str]) -> None:
    for method in ("EstimateRange", "GetSplitPoints", "ListHotPartitions", "WatchStats"):
        operate.router.answers[method] = [
            NotServing("no metrics service is registered: start one with `dstk-metrics`", 1)
        ]
    refused = operate(*command)
    assert refused.exit_code == 1
    assert "no metrics service is registered: start one with `dstk-metrics`" in refused.stderr
    assert "dstk local status" in refused.stderr
