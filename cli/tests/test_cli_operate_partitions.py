"""`dstk partitions` against a scripted router: what is sent, printed, and refused."""

import json
import os
import signal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dstk.v1 import admin_pb2, topology_pb2
from dstk_cli.operate import moving
from dstk_cli.operate.moving import Move, Step
from dstk_service.errors import NotOwner, NotServing, Unfit


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moving, "POLL_SECONDS", 0.01)


@pytest.fixture
def cluster(operate: Any, build: Any) -> Any:
    """Two partitions; the second one has a learner on storage-3."""
    operate.router.shows(build.entry(1, "123", end=b"m"), build.entry(2, "21/3", start=b"m"))
    return operate


def table(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


@pytest.mark.parametrize("arguments", [["partitions"], ["partitions", "list"]])
def test_plain_partitions_lists_them_with_what_is_in_sync(cluster: Any, arguments: list[str]) -> None:
    shown = cluster(*arguments)
    assert shown.exit_code == 0, shown.output
    _, first, second = table(shown.stdout)
    assert " ".join(first) == "1 (first) m 5 3/3 storage-1 storage-2 storage-3 1,234 5.0 MiB 7 0 0 serving"
    assert " ".join(second[:8]) == "2 m (last) 5 2/3 storage-2 storage-1 (storage-3)"


def test_too_few_replicas_are_seen_by_what_the_controller_wants_and_what_the_nodes_allow(
    operate: Any, build: Any
) -> None:
    nodes = [build.node(f"storage-{number}") for number in (1, 2)]
    operate.router.shows(build.entry(1, "1"), nodes=nodes, replicas=3)
    assert table(operate("partitions").stdout)[1][4] == "1/2"
    operate.router.answers["GetController"] = [NotServing("etcd is away", 0.1)]
    assert table(operate("partitions").stdout)[1][4] == "1/1"


def test_a_partition_whose_primary_is_silent_is_listed_without_figures(operate: Any, build: Any) -> None:
    operate.router.shows(build.entry(1, "12"))
    operate.router.answers["ListPartitions"] = [
        admin_pb2.ListPartitionsResponse(
            partitions=[admin_pb2.PartitionStatus(partition=build.entry(1, "12"))], unreachable_nodes=["storage-1"]
        )
    ]
    shown = operate("partitions")
    assert "-  not answering" in shown.stdout
    assert shown.stderr == "did not answer: storage-1\n"
    as_json = json.loads(operate("partitions", "-o", "json").stdout)
    assert as_json["unreachable_nodes"] == ["storage-1"]
    assert as_json["partitions"][0]["replicas"] == ["storage-1", "storage-2"]
    assert not as_json["partitions"][0]["known"]


def test_show_tells_everything_of_one(cluster: Any, build: Any) -> None:
    two = build.entry(2, "21/3", start=b"m")
    rows = [
        build.replica(two, "storage-2"),
        build.replica(two, "storage-3", position_sequence=40, rebuilding=True),
        build.replica(two, "storage-4", position_sequence=3),
    ]
    cluster.router.answers["ListReplicas"] = [
        admin_pb2.ListReplicasResponse(replicas=rows, unreachable_nodes=["storage-1"])
    ]
    shown = cluster("partitions", "show", "2")
    assert shown.exit_code == 0, shown.output
    text = [" ".join(line.split()) for line in shown.stdout.splitlines()]
    assert text == [
        "partition 2 serving",
        "keys from m up to (last)",
        "epoch 5",
        "in sync 2/3 storage-2 storage-1 (storage-3)",
        "holds ~1,234 records, ~5.0 MiB, up to write 100",
        "served 7 reads, 0 writes, 0 records scanned",
        "failed 0 operations",
        "",
        "replica by the map position epoch promised heard of state",
        "storage-2 primary 5:100 5 5 - primary",
        "storage-1 in sync - - - 0.1 s ago does not answer",
        "storage-3 learner 5:40 5 5 0.1 s ago being copied",
        "storage-4 stray 5:3 5 5 - follows",
    ]
    by_key = json.loads(cluster("partitions", "show", "--key", "zebra", "-o", "json").stdout)
    assert (by_key["id"], [row["node"] for row in by_key["on_nodes"]]) == (2, ["storage-2", "storage-3", "storage-4"])


def test_a_partition_that_is_not_there_is_a_usage_error(cluster: Any) -> None:
    for command in (["show", "9"], ["merge", "9"], ["move", "9", "--from", "a", "--to", "b"]):
        shown = cluster("partitions", *command)
        assert shown.exit_code == 2
        assert "there is no partition 9\n  -> `dstk partitions` lists those there are" in shown.stderr


@pytest.mark.parametrize(
    ("command", "sent"),
    [
        (["split", "2"], admin_pb2.SplitPartitionRequest(partition_id=2)),
        (["split", "2", "--by-load"], admin_pb2.SplitPartitionRequest(partition_id=2, by_load=True)),
        (["split", "--at", "q"], admin_pb2.SplitPartitionRequest(at=b"q")),
        (["merge", "2"], admin_pb2.MergePartitionsRequest(at=b"m")),
        (["merge", "--at", "m"], admin_pb2.MergePartitionsRequest(at=b"m")),
        (["switch", "2"], admin_pb2.SwitchPrimaryRequest(partition_id=2)),
        (["switch", "2", "--to", "storage-1"], admin_pb2.SwitchPrimaryRequest(partition_id=2, node="storage-1")),
    ],
)
def test_a_change_is_sent_as_it_was_typed_and_its_outcome_shown(
    cluster: Any, build: Any, command: list[str], sent: Any
) -> None:
    lower, upper = build.entry(2, "21", start=b"m", end=b"q"), build.entry(3, "21", start=b"q")
    cluster.router.answers["SplitPartition"] = [admin_pb2.SplitPartitionResponse(lower=lower, upper=upper)]
    cluster.router.answers["MergePartitions"] = [admin_pb2.MergePartitionsResponse(merged=build.entry(1, "21"))]
    cluster.router.answers["SwitchPrimary"] = [admin_pb2.SwitchPrimaryResponse(partition=build.entry(2, "12"))]
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
        (["split", "--at", "q", "--by-load"], "--by-load finds a key, and --at gives one"),
        (["split", "0"], "'0' is no partition's id, which is a number in 1..18446744073709551615"),
        (["split", "two"], "'two' is no partition's id"),
        (["show", str(2**64)], "'18446744073709551616' is no partition's id"),
        (["show"], "give either ID or --key"),
        (["merge", "1"], "partition 1 is the first: it has no lower neighbour"),
        (["move", "2", "--from", "storage-1"], "--to"),
        (["move", "2", "--from", "Storage", "--to", "b"], "--from is 'Storage', and must be 1..64 characters"),
        (["move", "2", "--from", "storage-1", "--to", "storage-1"], "--from and --to are both 'storage-1'"),
        (["move", "2", "--from", "storage-8", "--to", "storage-9"], "partition 2 has no replica on 'storage-8'"),
        (["switch", "2", "--to", "A"], "node is 'A', and must be 1..64 characters of a-z, 0-9 and -"),
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
        (Unfit("storage-3 is not in sync"), "error: storage-3 is not in sync\n  -> `dstk partitions show ID`"),
        (NotOwner(None, ""), "  -> the map has just changed: try again"),
    ],
)
def test_a_refusal_says_what_is_in_the_way(cluster: Any, error: Exception, said: str) -> None:
    cluster.router.answers["SwitchPrimary"] = [error]
    shown = cluster("partitions", "switch", "2", "--to", "storage-3")
    assert shown.exit_code == 1
    assert said in shown.stderr


class Moving:
    """The router while partition 2 of storage-1 (and storage-2) goes to storage-3."""

    def __init__(self, cluster: Any, build: Any) -> None:
        self.cluster, self.build, self.router = cluster, build, cluster.router

    def looks(self, *looks: Any) -> None:
        """What the list of partitions shows, one after the other: replicas, and how far the learner is."""
        answers = []
        for replicas, *progress in looks:
            status = self.build.figures(self.build.entry(2, replicas))
            for sequence, rebuilding in progress:
                status.followers.add(node="storage-3", sequence=sequence, rebuilding=rebuilding)
                del status.followers[: len(status.followers) - 1]
            answers.append(admin_pb2.ListPartitionsResponse(partitions=[status]))
        self.router.answers["ListPartitions"] = answers

    def outcome(self, method: str, replicas: str) -> None:
        self.router.answers[method] = [getattr(admin_pb2, f"{method}Response")(partition=self.build.entry(2, replicas))]

    def __call__(self, source: str = "storage-1", target: str = "storage-3") -> Any:
        return self.cluster("partitions", "move", "2", "--from", source, "--to", target)

    @property
    def asked(self) -> list[str]:
        return [method for method, _ in self.router.asked]


@pytest.fixture
def move(cluster: Any, build: Any) -> Moving:
    return Moving(cluster, build)


def test_a_primary_moves_without_ever_having_fewer_replicas_in_sync(move: Moving) -> None:
    move.looks(["12"], ["12/3", (0, True)], ["12/3", (40, False)], ["123", (100, False)])
    move.outcome("AddReplica", "12/3")
    move.outcome("SwitchPrimary", "312")
    move.outcome("RemoveReplica", "32")
    shown = move()
    assert shown.exit_code == 0, shown.output
    assert move.asked == ["AddReplica", "SwitchPrimary", "RemoveReplica"]
    assert [request.node for _, request in move.router.asked] == ["storage-3", "storage-3", "storage-1"]
    assert shown.stderr.splitlines() == [
        "partition 2: storage-1 to storage-3",
        "adding a replica on storage-3",
        "storage-3: being copied, ~5,242,880 bytes",
        "storage-3: at write 40 of 100",
        "storage-3: at write 100 of 100",
        "handing over from storage-1 to storage-3",
        "removing the replica on storage-1",
    ]
    assert shown.stdout.splitlines()[0] == "moved partition 2"
    assert "storage-3 storage-2" in shown.stdout


def test_a_follower_moves_without_a_switch(move: Moving) -> None:
    move.looks(["21"], ["213"])
    move.outcome("AddReplica", "21/3")
    move.outcome("RemoveReplica", "23")
    assert move().exit_code == 0
    assert move.asked == ["AddReplica", "RemoveReplica"]


def test_a_move_that_is_done_already_does_nothing(move: Moving) -> None:
    move.looks(["32"])
    assert move().exit_code == 0
    assert move.asked == []


def test_ctrl_c_says_where_things_are_and_how_to_go_on_or_back(move: Moving, build: Any) -> None:
    move.looks(["12"], ["12/3", (40, False)])

    def press(request: Any) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        return admin_pb2.ListPartitionsResponse(partitions=[build.figures(build.entry(2, "12/3"))])

    move.router.answers["ListPartitions"].append(press)
    move.outcome("AddReplica", "12/3")
    shown = move()
    assert shown.exit_code == 130
    assert shown.stderr.splitlines()[-3:] == [
        "the move is not done: storage-3 has a replica that is not in sync yet; storage-1 has kept its own",
        "  -> go on: dstk partitions move 2 --from storage-1 --to storage-3",
        "  -> take it back: dstk partitions move 2 --from storage-3 --to storage-1",
    ]


def test_a_partition_that_is_not_served_for_a_moment_is_waited_for(move: Moving) -> None:
    move.looks(["123"], ["312"], ["312"])
    move.outcome("SwitchPrimary", "312")
    move.outcome("RemoveReplica", "32")
    busy = NotServing("partition 2 is not served at the moment", 0.1)
    move.router.answers["RemoveReplica"].insert(0, busy)
    assert move().exit_code == 0
    assert move.asked == ["SwitchPrimary", "RemoveReplica", "RemoveReplica"]


def test_patience_with_a_partition_that_is_not_served_ends(move: Moving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moving, "PATIENCE_SECONDS", 0.0)
    move.looks(["123"])
    move.router.answers["SwitchPrimary"] = [NotServing("partition 2 is not served at the moment", 0.1)]
    shown = move()
    assert shown.exit_code == 1
    assert "partition 2 is not served at the moment\n  -> the cluster is there" in shown.stderr


def test_a_move_that_could_not_begin_has_nothing_to_take_back(move: Moving) -> None:
    move.looks(["12"])
    move.router.answers["AddReplica"] = [Unfit("storage-3 is not alive")]
    shown = move()
    assert "the move is not done: nothing was changed" in shown.stderr
    assert "take it back" not in shown.stderr


def test_a_refused_step_says_where_things_are_too(move: Moving) -> None:
    move.looks(["123"])
    move.router.answers["SwitchPrimary"] = [Unfit("storage-3 is not in sync")]
    shown = move()
    assert shown.exit_code == 1
    assert "the move is not done: storage-3 is in sync; storage-1 is still the primary" in shown.stderr
    assert "error: storage-3 is not in sync" in shown.stderr


def test_a_new_replica_that_somebody_takes_away_is_not_added_for_ever(move: Moving) -> None:
    move.looks(["12"], ["12"])
    move.outcome("AddReplica", "12/3")
    shown = move()
    assert shown.exit_code == 1
    assert move.asked == ["AddReplica"]
    assert "the new replica on storage-3 was taken away meanwhile" in shown.stderr


@given(st.sets(st.sampled_from("1234"), min_size=1), st.data())
def test_every_move_ends_in_four_steps_and_takes_away_only_what_is_in_sync_elsewhere(
    names: set[str], data: st.DataObject
) -> None:
    """A model of the map: whatever state a move begins in, its steps lead to the end."""
    in_sync = data.draw(st.sets(st.sampled_from(sorted(names)), min_size=1))
    primary = data.draw(st.sampled_from(sorted(in_sync)))
    source, target = data.draw(st.permutations("1234").map(lambda order: order[:2]))
    state = topology_pb2.Partition(id=1, primary=primary, replicas=sorted(names), in_sync=sorted(in_sync))
    move, steps = Move(1, source, target), []
    if source not in names and target not in names:
        return
    while (step := move.next_step(state)) is not Step.DONE:
        steps.append(step)
        assert move.state(state)
        match step:
            case Step.ADD:
                state.replicas.append(target)
            case Step.WAIT:
                state.in_sync.append(target)
            case Step.SWITCH:
                assert target in state.in_sync
                state.primary = target
            case Step.REMOVE:
                assert target in state.in_sync
                assert state.primary != source
                state.replicas.remove(source)
                if source in state.in_sync:
                    state.in_sync.remove(source)
    assert len(steps) <= 4
    assert source not in state.replicas
    assert target in state.in_sync


def comparison(name: str, *differing: tuple[bytes, bytes], **fields: Any) -> admin_pb2.ReplicaComparison:
    stretches = [admin_pb2.KeyStretch(start=start, end=end) for start, end in differing]
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
        "replica compared with the primary's from to",
        "storage-1 equal",
        "storage-3 differs in 2 ranges (first) b",
        "x (last)",
    ]
    assert text[-1] == "and 3 more: --output json"
    assert shown.stderr.splitlines()[-2:] == [
        "1,234 records of the primary were compared",
        "nothing was done; dstk partitions repair 2 --apply rebuilds what differs",
    ]
    assert cluster.router.asked == [("RepairPartition", admin_pb2.RepairPartitionRequest(partition_id=2))]


def test_repair_with_apply_rebuilds_and_is_content(cluster: Any) -> None:
    answer = admin_pb2.RepairPartitionResponse(replicas=[comparison("storage-3", (b"a", b"b"), rebuild_begun=True)])
    cluster.router.answers["RepairPartition"] = [answer]
    shown = cluster("partitions", "repair", "2", "--apply")
    assert shown.exit_code == 0
    assert "differs in 1 range; its rebuild has begun" in shown.stdout
    assert cluster.router.asked[0][1].apply
    as_json = json.loads(cluster("partitions", "repair", "2", "--apply", "-o", "json").stdout)
    assert as_json["replicas"][0]["differing"] == [{"start": "a", "end": "b"}]


def test_a_replica_that_could_not_be_compared_is_not_called_equal(cluster: Any) -> None:
    incomplete = admin_pb2.ReplicaComparison(node="storage-3")
    cluster.router.answers["RepairPartition"] = [admin_pb2.RepairPartitionResponse(replicas=[incomplete])]
    shown = cluster("partitions", "repair", "2")
    assert (shown.exit_code, "could not be compared" in shown.stdout) == (1, True)


@pytest.fixture
def lost(cluster: Any, build: Any) -> Any:
    """Partition 2: storage-2 (primary) does not answer, storage-1 stands at 100, the learner storage-3 at 40."""
    two = build.entry(2, "21/3", start=b"m")
    rows = [build.replica(two, "storage-1"), build.replica(two, "storage-3", position_sequence=40)]
    cluster.router.answers["ListReplicas"] = [
        admin_pb2.ListReplicasResponse(replicas=rows, unreachable_nodes=["storage-2"])
    ]
    cluster.router.answers["ForcePrimary"] = [admin_pb2.ForcePrimaryResponse(partition=build.entry(2, "1/3"))]
    return cluster


def test_forcing_a_primary_first_shows_what_each_has_and_what_may_be_lost(lost: Any) -> None:
    shown = lost("partitions", "repair", "2", "--force-primary", "storage-3")
    assert shown.exit_code == 0, shown.output
    text = [" ".join(line.split()) for line in shown.stdout.splitlines()]
    assert text == [
        "replica by the map position behind the furthest state",
        "storage-1 in sync 5:100 - whole",
        "storage-3 learner 5:40 60 writes whole",
        "storage-2 primary - - does not answer",
        "may be lost storage-1 stands further, at 5:100: what lies between is lost for good",
        "may be lost storage-2 (primary) does not answer: writes that only it has are lost for good",
    ]
    assert shown.stderr == "nothing was done; --apply makes storage-3 the primary\n"
    assert lost.router.asked == []


def test_forcing_where_the_primary_answers_is_said_to_be_needless(cluster: Any) -> None:
    shown = cluster("partitions", "repair", "1", "--force-primary", "storage-2")
    assert "nothing is known that would be lost" in shown.stdout
    assert "its primary answers: it need not be forced, and would refuse" in shown.stderr


def test_forcing_a_primary_is_done_with_apply_only(lost: Any) -> None:
    shown = lost("partitions", "repair", "2", "--force-primary", "storage-1", "--apply")
    assert shown.exit_code == 0
    assert "storage-1 is the primary of partition 2" in shown.stdout
    assert lost.router.asked == [("ForcePrimary", admin_pb2.ForcePrimaryRequest(partition_id=2, node="storage-1"))]
    as_json = json.loads(lost("partitions", "repair", "2", "--force-primary", "storage-1", "-o", "json").stdout)
    assert as_json["known"]["losses"] == [
        "storage-2 (primary) does not answer: writes that only it has are lost for good"
    ]
    assert not as_json["known"]["applied"]


@pytest.mark.parametrize(
    ("fields", "why"), [({"rebuilding": True}, "is being copied, no whole"), ({"quarantined": True}, "quarantined")]
)
def test_a_replica_that_is_no_whole_cannot_be_taken(lost: Any, build: Any, fields: Any, why: str) -> None:
    two = build.entry(2, "21/3", start=b"m")
    rows = [build.replica(two, "storage-3", **fields)]
    lost.router.answers["ListReplicas"] = [
        admin_pb2.ListReplicasResponse(replicas=rows, unreachable_nodes=["storage-2"])
    ]
    shown = lost("partitions", "repair", "2", "--force-primary", "storage-3", "--apply")
    assert shown.exit_code == 1
    assert why in shown.stderr
    assert "does not answer" in lost("partitions", "repair", "2", "--force-primary", "storage-2").stderr
    assert lost.router.asked == []
