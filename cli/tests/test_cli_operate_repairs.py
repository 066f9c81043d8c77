"""`dstk partitions repair` against a scripted router: replicas compared, and a primary forced."""

import json
from typing import Any

import pytest
from kit import statuses

from dstk.v1 import admin_pb2


def comparison(name: str, *differing: tuple[bytes, bytes], **fields: Any) -> admin_pb2.ReplicaComparison:
    stretches = [admin_pb2.KeyRange(start=start, end=end) for start, end in differing]
    return admin_pb2.ReplicaComparison(node=name, differing=stretches, complete=True, **fields)


def test_repair_compares_and_shows_what_differs(cluster: Any) -> None:
    many = [(b"%02d" % number, b"%02d" % (number + 1)) for number in range(8)]
    cluster.router.answers["RepairPartition"] = [
        admin_pb2.RepairPartitionResponse(
            compared_records=1234,
            replicas=[
                comparison("storage-1"),
                comparison("storage-3", (b"", b"b"), (b"x", b"")),
                comparison("s", *many),
            ],
        )
    ]
    shown = cluster("partitions", "repair", "2")
    assert shown.exit_code == 1
    text = [" ".join(line.split()) for line in shown.stdout.splitlines()]
    assert text[:4] == [
        "replica compared with the primary from to",
        "storage-1 equal",
        "storage-3 differs in 2 ranges (first) b",
        "x (last)",
    ]
    assert text[-1] == "and 3 more: --output json"
    assert shown.stderr.splitlines()[-2:] == [
        "compared 1,234 records of the primary",
        "nothing was changed; to rebuild what differs: dstk partitions repair 2 --apply",
    ]
    assert cluster.router.asked == [("RepairPartition", admin_pb2.RepairPartitionRequest(partition_id=2))]


def test_repair_with_apply_rebuilds_and_is_content(cluster: Any) -> None:
    answer = admin_pb2.RepairPartitionResponse(replicas=[comparison("storage-3", (b"a", b"b"), rebuild_started=True)])
    cluster.router.answers["RepairPartition"] = [answer]
    shown = cluster("partitions", "repair", "2", "--apply")
    assert shown.exit_code == 0
    assert "differs in 1 range; being rebuilt" in shown.stdout
    assert cluster.router.asked[0][1].apply
    as_json = json.loads(cluster("partitions", "repair", "2", "--apply", "-o", "json").stdout)
    assert as_json["replicas"][0]["differing"] == [{"start": "a", "end": "b"}]


def test_a_replica_that_could_not_be_compared_is_not_called_equal(cluster: Any) -> None:
    incomplete = admin_pb2.ReplicaComparison(node="storage-3")
    cluster.router.answers["RepairPartition"] = [admin_pb2.RepairPartitionResponse(replicas=[incomplete])]
    shown = cluster("partitions", "repair", "2")
    assert (shown.exit_code, "could not be compared" in shown.stdout) == (1, True)


@pytest.fixture
def lost(cluster: Any) -> Any:
    """Partition 2: storage-2 (primary) does not answer, storage-1 stands at 100, the learner storage-3 at 40."""
    two = statuses.entry(2, "21/3", start=b"m")
    rows = [statuses.replica(two, "storage-1"), statuses.replica(two, "storage-3", position_sequence=40)]
    cluster.router.answers["ListReplicas"] = [
        admin_pb2.ListReplicasResponse(replicas=rows, unreachable_nodes=["storage-2"])
    ]
    cluster.router.answers["ForcePrimary"] = [admin_pb2.ForcePrimaryResponse(partition=statuses.entry(2, "1/3"))]
    return cluster


def test_forcing_a_primary_first_shows_what_each_has_and_what_may_be_lost(lost: Any) -> None:
    shown = lost("partitions", "repair", "2", "--force-primary", "storage-3")
    assert shown.exit_code == 0, shown.output
    text = [" ".join(line.split()) for line in shown.stdout.splitlines()]
    assert text == [
        "replica by the map position behind state",
        "storage-1 in sync 5:100 - complete",
        "storage-3 learner 5:40 60 writes complete",
        "storage-2 primary - - does not answer",
        "may be lost storage-1 is ahead, at 5:100: its later writes are lost",
        "may be lost storage-2 (primary) does not answer: writes that only it has are lost",
    ]
    assert shown.stderr == "nothing was changed; --apply makes storage-3 the primary\n"
    assert lost.router.asked == []


def test_forcing_where_the_primary_answers_is_said_to_be_needless(cluster: Any) -> None:
    shown = cluster("partitions", "repair", "1", "--force-primary", "storage-2")
    assert "no known write would be lost" in shown.stdout
    assert "the primary answers: there is no need to force another one" in shown.stderr


def test_forcing_a_primary_is_done_with_apply_only(lost: Any) -> None:
    shown = lost("partitions", "repair", "2", "--force-primary", "storage-1", "--apply")
    assert shown.exit_code == 0
    assert "storage-1 is the primary of partition 2" in shown.stdout
    assert lost.router.asked == [("ForcePrimary", admin_pb2.ForcePrimaryRequest(partition_id=2, node="storage-1"))]
    as_json = json.loads(lost("partitions", "repair", "2", "--force-primary", "storage-1", "-o", "json").stdout)
    assert as_json["known"]["losses"] == ["storage-2 (primary) does not answer: writes that only it has are lost"]
    assert not as_json["known"]["applied"]


@pytest.mark.parametrize(
    ("fields", "why"), [({"needs_snapshot": True}, "is being rebuilt"), ({"quarantined": True}, "is quarantined")]
)
def test_a_replica_that_is_no_whole_cannot_be_taken(lost: Any, fields: Any, why: str) -> None:
    two = statuses.entry(2, "21/3", start=b"m")
    rows = [statuses.replica(two, "storage-3", **fields)]
    lost.router.answers["ListReplicas"] = [
        admin_pb2.ListReplicasResponse(replicas=rows, unreachable_nodes=["storage-2"])
    ]
    shown = lost("partitions", "repair", "2", "--force-primary", "storage-3", "--apply")
    assert shown.exit_code == 1
    assert why in shown.stderr
    assert "does not answer" in lost("partitions", "repair", "2", "--force-primary", "storage-2").stderr
    assert lost.router.asked == []
