"""What is shown of the background comparison of replicas."""

import json
from typing import Any

import pytest
from kit import statuses

from dstk.v1 import admin_pb2
from dstk_cli.operate.partition_detail import comparison

NOW = 1_700_000_000_000
HOUR = 3_600_000


def found(outcome: str, *nodes: str, **fields: Any) -> admin_pb2.ComparisonStatus:
    kind = admin_pb2.ComparisonOutcome.Value(f"COMPARISON_OUTCOME_{outcome}")
    return admin_pb2.ComparisonStatus(completed_ms=NOW - HOUR, outcome=kind, records=1234, nodes=nodes, **fields)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (admin_pb2.ComparisonStatus(), "no comparison known to the primary"),
        (admin_pb2.ComparisonStatus(running=True, progress=0.4), "one is running: 40%"),
        (found("EQUAL"), "all replicas are equal, 1 h 0 min ago; 1,234 records"),
        (found("EQUAL", running=True, progress=0.07), "1 h 0 min ago; 1,234 records; one is running: 7%"),
        (found("QUARANTINED", "n3"), "n3 differed from a majority and is rebuilt, 1 h 0 min ago"),
        (found("UNDECIDED", "n1", "n2"), "n1, n2 differ, and no majority agrees"),
        (found("INCOMPLETE", "n2"), "nothing differs, but n2 could not be compared"),
    ],
)
def test_the_summary_has_the_result_its_age_and_the_progress(status: admin_pb2.ComparisonStatus, words: str) -> None:
    assert words in comparison(status, NOW)


def test_a_clock_that_is_behind_shows_no_negative_time() -> None:
    assert "0 s ago" in comparison(found("EQUAL"), NOW - 2 * HOUR)


def test_show_has_a_line_of_it_for_people_and_an_object_for_programs(cluster: Any) -> None:
    status = statuses.figures(statuses.entry(1, "123", end=b"m"))
    status.comparison.CopyFrom(found("UNDECIDED", "storage-1", "storage-2"))
    cluster.router.answers["ListPartitions"] = [admin_pb2.ListPartitionsResponse(partitions=[status])]
    shown = cluster("partitions", "show", "1").stdout
    assert "storage-1, storage-2 differ, and no majority agrees" in shown
    compared = json.loads(cluster("partitions", "show", "1", "--output", "json").stdout)["comparison"]
    assert compared == {
        "outcome": "undecided",
        "completed_ms": NOW - HOUR,
        "records": 1234,
        "nodes": ["storage-1", "storage-2"],
        "running": False,
        "progress": 0.0,
    }
