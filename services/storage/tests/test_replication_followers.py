"""Which answers of a follower count: several messages are on their way to it at once."""

import pytest
from kit.machines import A, B, P, PureNode, info_of

from dstk_storage.domain.history import START, Position
from dstk_storage.domain.replication.actions import Admit, BumpEpoch, Evict, InstallSnapshot, Ship
from dstk_storage.domain.replication.primary_handler import SOON_RETRY_SECONDS, SOON_SECONDS, Sent
from dstk_storage.domain.replication.progress import FollowerState

NOW = 10.0


@pytest.fixture
def node() -> PureNode:
    """The primary of epoch 2, in sync alone, with a learner B that has just answered a heartbeat."""
    made = PureNode(A, info_of(A, B, in_sync=(A,), epoch=2))
    made.lead(NOW)
    made.publish()
    made.heard_by(B, NOW)
    made.drain()
    return made


def becomes_required(node: PureNode) -> tuple[Position, Sent]:
    """Another message is still on its way when the learner becomes required. Returns the last position, and that message."""
    probe = node.send(B)
    node.write(applied=True)
    node.answer(B, probe, START, NOW)
    first = node.send(B)
    last = node.write(applied=False)
    late = node.send(B)
    node.answer(B, first, Position(2, 1), NOW)
    assert node.follower(B).required
    assert node.follower(B).state is FollowerState.PROBE
    return last, late


def test_a_learner_goes_from_probe_to_replicate_to_joining_and_is_admitted(node: PureNode) -> None:
    last, _ = becomes_required(node)
    probe = node.send(B)
    assert not probe.append.entries, "a probe"
    node.answer(B, probe, last, NOW)
    assert node.follower(B).state is FollowerState.JOINING
    assert node.drain() == [Admit(node.replica, B)]


def test_an_answer_that_was_on_its_way_when_a_learner_became_required_does_not_count(node: PureNode) -> None:
    last, late = becomes_required(node)
    node.answer(B, late, last, NOW)
    assert node.follower(B).state is FollowerState.PROBE
    assert node.follower(B).acked == START
    probe = node.send(B)
    node.answer(B, probe, START, NOW, needs_snapshot=True)
    assert node.follower(B).state is FollowerState.SNAPSHOT, "it has lost everything meanwhile, and says so"
    assert not any(isinstance(action, Admit) for action in node.drain())


def test_what_is_no_whole_replica_does_not_stand_where_an_empty_partition_does(node: PureNode) -> None:
    node.follower(B).require(NOW)
    node.answer(B, node.send(B), START, NOW, needs_snapshot=True)
    assert not node.primary.is_quiet(START), "a split would take it for in sync"
    assert node.primary.needs_snapshot() == [B]


def test_an_answer_to_an_earlier_term_of_office_does_not_count(node: PureNode) -> None:
    probe = node.send(B)
    node.write(applied=True)
    node.replica.resign()
    node.adopt(info_of(A, B, in_sync=(A,), epoch=3), NOW)
    node.lead(NOW)
    node.answer(B, probe, Position(2, 1), NOW)
    assert node.follower(B).state is FollowerState.PROBE


def test_what_a_learner_took_that_had_promised_more_is_sent_again(node: PureNode) -> None:
    """Its answer only says by which epoch it would go; nothing else would ever ask a learner of an idle partition again."""
    last = node.write(applied=True)
    node.answer(B, node.send(B), START, NOW)
    node.drain()
    node.answer(B, node.send(B), last, NOW, promised=9)
    assert node.drain() == [BumpEpoch(node.replica, 9)]
    again = node.send(B)
    assert len(again.append.entries) == 1
    node.answer(B, again, last, NOW)
    assert node.follower(B).required


def test_a_learner_that_has_answered_no_heartbeat_recently_is_not_waited_for_yet(node: PureNode) -> None:
    """One that is back from a restart answers entries before heartbeats; the lease that rests on it would be long over."""
    later = NOW + 1.0
    last = node.write(applied=True)
    node.answer(B, node.send(B), START, later)
    node.answer(B, node.send(B), last, later)
    assert node.follower(B).state is FollowerState.REPLICATE
    assert not node.follower(B).required
    node.heard_by(B, later)
    node.machines.watch.consider(node.replica, B, node.follower(B), later)
    assert node.follower(B).required


def test_a_follower_whose_map_is_old_is_probed_again_soon_while_callers_wait(node: PureNode) -> None:
    node.primary.is_serving = False
    node.answer(B, node.send(B), START, NOW, behind=True)
    assert Ship(node.replica, B, SOON_RETRY_SECONDS) in node.machines.outbox.drain()
    node.answer(B, node.send(B), START, NOW + SOON_SECONDS, behind=True)
    assert Ship(node.replica, B, SOON_RETRY_SECONDS) not in node.machines.outbox.drain()
    node.primary.is_serving = True
    node.answer(B, node.send(B), START, NOW, behind=True)
    assert Ship(node.replica, B, SOON_RETRY_SECONDS) not in node.machines.outbox.drain()


def test_a_learner_behind_the_logs_tail_is_sent_a_snapshot_and_nothing_else(node: PureNode) -> None:
    for _ in range(3):
        node.write(applied=True)
    node.replica.log.clear(node.replica.log.position)
    node.write(applied=True)
    node.answer(B, node.send(B), START, NOW)
    progress = node.follower(B)
    assert progress.state is FollowerState.SNAPSHOT
    assert node.drain() == [InstallSnapshot(node.replica, B, progress)]
    assert node.has_for(B) is None
    progress.is_installing = False
    progress.probe()
    assert not node.send(B).append.entries


def test_a_learner_that_could_not_be_reached_until_the_log_forgot_what_follows_is_sent_a_snapshot(
    node: PureNode,
) -> None:
    later = NOW + 1.0  # it has answered no heartbeat recently: it does not become required
    node.answer(B, node.send(B), START, later)
    last = node.write(applied=True)
    node.send(B)
    node.machines.primaries.unreachable(node.replica, B)
    node.replica.log.clear(last)
    node.write(applied=True)
    probe = node.send(B)
    assert not probe.append.entries
    node.answer(B, probe, START, later)
    assert node.follower(B).state is FollowerState.SNAPSHOT


def test_a_required_follower_that_needs_a_snapshot_is_evicted_first(node: PureNode) -> None:
    node.follower(B).require(NOW)
    node.answer(B, node.send(B), START, NOW, needs_snapshot=True)
    node.machines.watch.look(node.replica, node.primary, NOW)
    assert Evict(node.replica, [B]) in node.drain()
    assert not node.follower(B).is_installing


def test_a_follower_that_may_have_lost_everything_is_probed(node: PureNode) -> None:
    """It refuses nothing, but says with a heartbeat that it holds no whole replica (R12)."""
    node.answer(B, node.send(B), START, NOW)
    assert node.follower(B).state is not FollowerState.SNAPSHOT
    node.follower(B).stand(node.replica.log.tail, accepted=True)
    node.heard_by(B, NOW + 0.1, {P: 2})
    assert node.follower(B).state is FollowerState.PROBE


def test_what_was_on_its_way_to_an_unreachable_follower_is_sent_again(node: PureNode) -> None:
    node.write(applied=True)
    node.answer(B, node.send(B), START, NOW)
    assert len(node.send(B).append.entries) == 1
    assert node.has_for(B) is None
    assert node.machines.primaries.unreachable(node.replica, B)
    assert len(node.send(B).append.entries) == 1
    node.machines.leases.fall_silent(NOW + 5)
    assert not node.machines.primaries.unreachable(node.replica, B), "a silent learner waits for its next heartbeat"
