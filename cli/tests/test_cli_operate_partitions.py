"""`dstk partitions` against a scripted router: what is sent, printed, and refused."""

import json
from typing import Any

import pytest
from kit import statuses

from dstk.v1 import admin_pb2
from dstk_service.errors import NotOwner, NotServing, PreconditionFailed


def table(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


@pytest.mark.parametrize("arguments", [["partitions"], ["partitions", "list"]])
def test_plain_partitions_lists_them_with_what_is_in_sync(cluster: Any, arguments: list[str]) -> None:
    shown = cluster(*arguments)
    assert shown.exit_code == 0, shown.output
    _, first, second = table(shown.stdout)
    assert " ".join(first) == "1 (first) m 5 3/3 storage-1 storage-2 storage-3 1,234 5.0 MiB 7 0 0 6 serving"
    assert " ".join(second[:8]) == "2 m (last) 5 2/3 storage-2 storage-1 (storage-3)"


def test_too_few_replicas_are_seen_by_what_the_controller_wants_and_what_the_nodes_allow(operate: Any) -> None:
    nodes = [statuses.node(f"storage-{number}") for number in (1, 2)]
    operate.router.shows(statuses.entry(1, "1"), nodes=nodes, replicas=3)
    assert table(operate("partitions").stdout)[1][4] == "1/2"
    operate.router.answers["GetController"] = [NotServing("etcd is away", 0.1)]
    assert table(operate("partitions").stdout)[1][4] == "1/1"


def test_a_partition_whose_primary_is_silent_is_listed_without_figures(operate: Any) -> None:
    operate.router.shows(statuses.entry(1, "12"))
    operate.router.answers["ListPartitions"] = [
        admin_pb2.ListPartitionsResponse(
            partitions=[admin_pb2.PartitionStatus(partition=statuses.entry(1, "12"))], unreachable_nodes=["storage-1"]
        )
    ]
    shown = operate("partitions")
    assert "-  not answering" in shown.stdout
    assert shown.stderr == "no answer from: storage-1\n"
    as_json = json.loads(operate("partitions", "-o", "json").stdout)
    assert as_json["unreachable_nodes"] == ["storage-1"]
    assert as_json["partitions"][0]["replicas"] == ["storage-1", "storage-2"]
    assert not as_json["partitions"][0]["known"]


def test_show_tells_everything_of_one(cluster: Any) -> None:
    two = statuses.entry(2, "21/3", start=b"m")
    rows = [
        statuses.replica(two, "storage-2"),
        statuses.replica(two, "storage-3", position_sequence=40, needs_snapshot=True),
        statuses.replica(two, "storage-4", position_sequence=3),
    ]
    cluster.router.answers["ListReplicas"] = [
        admin_pb2.ListReplicasResponse(replicas=rows, unreachable_nodes=["storage-1"])
    ]
    shown = cluster("partitions", "show", "2")
    assert shown.exit_code == 0, shown.output
    text = [" ".join(line.split()) for line in shown.stdout.splitlines()]
    assert text == [
        "partition 2 serving",
        "keys from m to (last)",
        "epoch 5",
        "in sync 2/3 storage-2 storage-1 (storage-3)",
        "holds ~1,234 records, ~5.0 MiB, sequence number 100",
        "served 7 reads, 0 writes, 0 records scanned",
        "failed reads 1 by the client, 2 refused, 3 by the server",
        "failed writes 0 by the client, 0 refused, 0 by the server",
        "compared no comparison known to the primary",
        "",
        "replica by the map position epoch promised last heard state",
        "storage-2 primary 5:100 5 5 - primary",
        "storage-1 in sync - - - 0.1 s ago does not answer",
        "storage-3 learner 5:40 5 5 0.1 s ago being copied",
        "storage-4 stray 5:3 5 5 - follower",
    ]
    by_key = json.loads(cluster("partitions", "show", "--key", "zebra", "-o", "json").stdout)
    assert by_key["read_failures"] == {"client": 1, "refused": 2, "server": 3}
    assert by_key["write_failures"] == {"client": 0, "refused": 0, "server": 0}
    assert (by_key["id"], [row["node"] for row in by_key["on_nodes"]]) == (2, ["storage-2", "storage-3", "storage-4"])


def test_a_partition_that_is_not_there_is_a_usage_error(cluster: Any) -> None:
    for command in (["show", "9"], ["merge", "9"], ["move", "9", "--from", "a", "--to", "b"]):
        shown = cluster("partitions", *command)
        assert shown.exit_code == 2
        assert "there is no partition 9\n  -> `dstk partitions` lists them" in shown.stderr


@pytest.mark.parametrize(
    ("command", "sent"),
    [
        (["split", "2"], admin_pb2.SplitPartitionRequest(partition_id=2)),
        (["split", "2", "--by-load"], admin_pb2.SplitPartitionRequest(partition_id=2, by_load=True)),
        (["split", "--at", "q"], admin_pb2.SplitPartitionRequest(at=b"q")),
        (["merge", "2"], admin_pb2.MergePartitionsRequest(at=b"m")),
        (["merge", "--at", "m"], admin_pb2.MergePartitionsRequest(at=b"m")),
        (["transfer", "2"], admin_pb2.TransferPrimaryRequest(partition_id=2)),
        (["transfer", "2", "--to", "storage-1"], admin_pb2.TransferPrimaryRequest(partition_id=2, node="storage-1")),
    ],
)
def test_a_change_is_sent_as_it_was_typed_and_its_outcome_shown(cluster: Any, command: list[str], sent: Any) -> None:
    lower, upper = statuses.entry(2, "21", start=b"m", end=b"q"), statuses.entry(3, "21", start=b"q")
    cluster.router.answers["SplitPartition"] = [admin_pb2.SplitPartitionResponse(lower=lower, upper=upper)]
    cluster.router.answers["MergePartitions"] = [admin_pb2.MergePartitionsResponse(merged=statuses.entry(1, "21"))]
    cluster.router.answers["TransferPrimary"] = [admin_pb2.TransferPrimaryResponse(partition=statuses.entry(2, "12"))]
    shown = cluster("partitions", *command)
    assert shown.exit_code == 0, shown.output
    assert [request for _, request in cluster.router.asked] == [sent]
    assert "storage-2" in shown.stdout
    assert json.loads(cluster("partitions", *command, "-o", "json").stdout)


def test_the_short_form_of_split_is_the_same(cluster: Any) -> None:
    assert cluster("split", "q").exit_code == 0
    assert cluster.router.asked == [("SplitPartition", admin_pb2.SplitPartitionRequest(at=b"q"))]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["split"], "give either ID or --at"),
        (["split", "2", "--at", "q"], "give either ID or --at"),
        (["split", "--at", "q", "--by-load"], "--by-load excludes --at"),
        (["split", "0"], "'0' is not a partition id: give a number in 1..18446744073709551615"),
        (["split", "two"], "'two' is not a partition id"),
        (["show", str(2**64)], "'18446744073709551616' is not a partition id"),
        (["show"], "give either ID or --key"),
        (["merge", "1"], "partition 1 is the first and has no lower neighbour"),
        (["move", "2", "--from", "storage-1"], "--to"),
        (["move", "2", "--from", "Storage", "--to", "b"], "--from is 'Storage', and must be 1..64 characters"),
        (["move", "2", "--from", "storage-1", "--to", "storage-1"], "--from and --to are both 'storage-1'"),
        (["move", "2", "--from", "storage-8", "--to", "storage-9"], "partition 2 has no replica on 'storage-8'"),
        (["transfer", "2", "--to", "A"], "node is 'A', and must be 1..64 characters of a-z, 0-9 and -"),
        (["repair", "2", "--force-primary", "A"], "--force-primary is 'A'"),
        (["repair", "2", "--force-primary", "storage-9"], "'storage-9' has no replica of this partition"),
    ],
)
def test_wrong_arguments_name_the_value_and_change_nothing(cluster: Any, arguments: list[str], said: str) -> None:
    shown = cluster("partitions", *arguments)
    assert shown.exit_code == 2, shown.output
    assert said in shown.stderr
    assert "Traceback" not in shown.output
    assert cluster.router.asked == []


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            PreconditionFailed("storage-3 is not in sync"),
            "error: storage-3 is not in sync\n  -> `dstk partitions show ID`",
        ),
        (NotOwner(None, ""), "  -> the map has just changed: try again"),
    ],
)
def test_a_refusal_says_what_is_in_the_way(cluster: Any, error: Exception, said: str) -> None:
    cluster.router.answers["TransferPrimary"] = [error]
    shown = cluster("partitions", "transfer", "2", "--to", "storage-3")
    assert shown.exit_code == 1
    assert said in shown.stderr
