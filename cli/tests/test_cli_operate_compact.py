"""`dstk nodes compact` goes on step by step until the node says that it is done."""

import json
from typing import Any

import pytest

from dstk.v1 import admin_pb2
from dstk_service.errors import DiskFull


def step(before: int, after: int, left: int = 0, resume: bytes = b"") -> admin_pb2.CompactNodeResponse:
    return admin_pb2.CompactNodeResponse(
        done=not resume, resume=resume, bytes_before=before, bytes_after=after, bytes_left=left
    )


def test_every_step_begins_where_the_one_before_has_ended(cluster: Any) -> None:
    cluster.router.answers["CompactNode"] = [step(100 << 20, 10 << 20, 50 << 20, b"on"), step(50 << 20, 1 << 20)]
    done = cluster("nodes", "compact", "storage-1")
    assert done.exit_code == 0
    assert "compacted storage-1: ~150 MiB before, ~11 MiB after; 139 MiB freed" in done.stdout
    asked = [request for method, request in cluster.router.asked if method == "CompactNode"]
    assert [(request.start, request.end, request.resume) for request in asked] == [(b"", b"", b""), (b"", b"", b"on")]


@pytest.mark.parametrize("steps", [[step(1, 1, 9, b"on"), step(1, 1, 9, b"on")], [admin_pb2.CompactNodeResponse()]])
def test_answers_that_lead_nowhere_end_it(cluster: Any, steps: list[admin_pb2.CompactNodeResponse]) -> None:
    cluster.router.answers["CompactNode"] = [*steps, step(1, 1)]
    done = cluster("nodes", "compact", "storage-1")
    assert done.exit_code == 1
    assert "does not advance" in done.stderr


@pytest.mark.parametrize(
    ("options", "bounds"),
    [
        (["--partition", "1"], (b"", b"m")),
        (["--partition", "2"], (b"m", b"")),
        (["--start", "a", "--end", "b"], (b"a", b"b")),
        (["--start", "0x00"], (b"\0", b"")),
    ],
)
def test_a_part_can_be_named(cluster: Any, options: list[str], bounds: tuple[bytes, bytes]) -> None:
    cluster.router.answers["CompactNode"] = [step(10, 4)]
    done = cluster("nodes", "compact", "storage-1", *options, "--output", "json")
    assert json.loads(done.stdout) == {"node": "storage-1", "bytes_before": 10, "bytes_after": 4}
    ((_, request),) = cluster.router.asked
    assert (request.start, request.end) == bounds


@pytest.mark.parametrize(
    "arguments",
    [
        ["storage-1", "--partition", "1", "--end", "b"],
        ["storage-1", "--partition", "0"],
        ["storage-1", "--partition", "x"],
        ["storage-1", "--partition", "9"],
        ["storage-1", "--start", "b", "--end", "a"],
        ["storage-1", "--start", "a", "--end", "a"],
        ["no node"],
        [""],
        [],
    ],
)
def test_what_means_nothing_is_refused_and_nobody_is_asked(cluster: Any, arguments: list[str]) -> None:
    done = cluster("nodes", "compact", *arguments)
    assert done.exit_code == 2
    assert cluster.router.asked == []


def test_a_disk_without_room_is_told(cluster: Any) -> None:
    cluster.router.answers["CompactNode"] = [DiskFull("its disk has 3 MiB left and compaction needs 4 MiB", 1.0)]
    done = cluster("nodes", "compact", "storage-1")
    assert done.exit_code == 1
    assert "compaction needs 4 MiB" in done.stderr
