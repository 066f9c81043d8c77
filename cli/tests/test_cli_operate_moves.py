"""`dstk partitions move` against a scripted router: its steps, what it waits for, and where it leaves things."""

import os
import signal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit import statuses

from dstk.v1 import admin_pb2, topology_pb2
from dstk_cli.operate import replica_move
from dstk_cli.operate.replica_move import Move, Step
from dstk_service.errors import NotServing, PreconditionFailed


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replica_move, "POLL_SECONDS", 0.01)


class Moving:
    """The router while partition 2 of storage-1 (and storage-2) goes to storage-3."""

    def __init__(self, cluster: Any) -> None:
        self.cluster, self.router = cluster, cluster.router

    def looks(self, *looks: Any) -> None:
        """What the list of partitions shows, one after the other: replicas, and how far the learner is."""
        answers = []
        for replicas, *progress in looks:
            status = statuses.figures(statuses.entry(2, replicas))
            for sequence, needs_snapshot in progress:
                status.followers.add(node="storage-3", sequence=sequence, needs_snapshot=needs_snapshot)
                del status.followers[: len(status.followers) - 1]
            answers.append(admin_pb2.ListPartitionsResponse(partitions=[status]))
        self.router.answers["ListPartitions"] = answers

    def outcome(self, method: str, replicas: str) -> None:
        self.router.answers[method] = [getattr(admin_pb2, f"{method}Response")(partition=statuses.entry(2, replicas))]

    def __call__(self, source: str = "storage-1", target: str = "storage-3") -> Any:
        return self.cluster("partitions", "move", "2", "--from", source, "--to", target)

    @property
    def asked(self) -> list[str]:
        return [method for method, _ in self.router.asked]


@pytest.fixture
def move(cluster: Any) -> Moving:
    return Moving(cluster)


def test_a_primary_moves_without_ever_having_fewer_replicas_in_sync(move: Moving) -> None:
    move.looks(["12"], ["12/3", (0, True)], ["12/3", (40, False)], ["123", (100, False)])
    move.outcome("AddReplica", "12/3")
    move.outcome("TransferPrimary", "312")
    move.outcome("RemoveReplica", "32")
    shown = move()
    assert shown.exit_code == 0, shown.output
    assert move.asked == ["AddReplica", "TransferPrimary", "RemoveReplica"]
    assert [request.node for _, request in move.router.asked] == ["storage-3", "storage-3", "storage-1"]
    assert shown.stderr.splitlines() == [
        "partition 2: storage-1 to storage-3",
        "adding a replica on storage-3",
        "storage-3: copying ~5,242,880 bytes",
        "storage-3: caught up to write 40 of 100",
        "storage-3: caught up to write 100 of 100",
        "transferring the primary from storage-1 to storage-3",
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


def test_ctrl_c_says_where_things_are_and_how_to_go_on_or_back(move: Moving) -> None:
    move.looks(["12"], ["12/3", (40, False)])

    def press(request: Any) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        return admin_pb2.ListPartitionsResponse(partitions=[statuses.figures(statuses.entry(2, "12/3"))])

    move.router.answers["ListPartitions"].append(press)
    move.outcome("AddReplica", "12/3")
    shown = move()
    assert shown.exit_code == 130
    assert shown.stderr.splitlines()[-3:] == [
        "the move is not complete: the new replica on storage-3 is not in sync yet; the one on storage-1 is still there",
        "  -> resume: dstk partitions move 2 --from storage-1 --to storage-3",
        "  -> undo: dstk partitions move 2 --from storage-3 --to storage-1",
    ]


def test_a_partition_that_is_not_served_for_a_moment_is_waited_for(move: Moving) -> None:
    move.looks(["123"], ["312"], ["312"])
    move.outcome("TransferPrimary", "312")
    move.outcome("RemoveReplica", "32")
    busy = NotServing("partition 2 is not served at the moment", 0.1)
    move.router.answers["RemoveReplica"].insert(0, busy)
    assert move().exit_code == 0
    assert move.asked == ["TransferPrimary", "RemoveReplica", "RemoveReplica"]


def test_patience_with_a_partition_that_is_not_served_ends(move: Moving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replica_move, "PATIENCE_SECONDS", 0.0)
    move.looks(["123"])
    move.router.answers["TransferPrimary"] = [NotServing("partition 2 is not served at the moment", 0.1)]
    shown = move()
    assert shown.exit_code == 1
    assert "partition 2 is not served at the moment\n  -> try again in a moment" in shown.stderr


def test_a_move_that_could_not_begin_has_nothing_to_take_back(move: Moving) -> None:
    move.looks(["12"])
    move.router.answers["AddReplica"] = [PreconditionFailed("storage-3 is not alive")]
    shown = move()
    assert "the move is not complete: nothing was changed" in shown.stderr
    assert "undo" not in shown.stderr


def test_a_refused_step_says_where_things_are_too(move: Moving) -> None:
    move.looks(["123"])
    move.router.answers["TransferPrimary"] = [PreconditionFailed("storage-3 is not in sync")]
    shown = move()
    assert shown.exit_code == 1
    assert (
        "the move is not complete: the new replica on storage-3 is in sync; storage-1 is still the primary"
        in shown.stderr
    )
    assert "error: storage-3 is not in sync" in shown.stderr


def test_a_new_replica_that_somebody_takes_away_is_not_added_for_ever(move: Moving) -> None:
    move.looks(["12"], ["12"])
    move.outcome("AddReplica", "12/3")
    shown = move()
    assert shown.exit_code == 1
    assert move.asked == ["AddReplica"]
    assert "the new replica on storage-3 was removed by someone else" in shown.stderr


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
            case Step.TRANSFER:
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
