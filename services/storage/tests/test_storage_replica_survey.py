"""What a look at a node's replicas finds."""

import pytest
from kit.machines import A, B, C, PureNode, info_of

from dstk_keytypes import NodeId
from dstk_storage.application.replica_survey import ReplicaSurvey, look
from dstk_storage.domain.batch import Batch
from dstk_storage.domain.history import Position
from dstk_storage.domain.replication.progress import FollowerState

NOW = 10.0


def found_at(node: PureNode, wanted: int = 0) -> ReplicaSurvey:
    found = ReplicaSurvey()
    look(found, node.machines.replicas.values(), NOW, wanted)
    return found


@pytest.fixture
def node() -> PureNode:
    """The primary of two followers, of which B is in sync."""
    made = PureNode(A, info_of(A, B, C, in_sync=(A, B), epoch=2))
    made.lead()
    return made


def test_a_primary_that_does_not_serve_yet_and_lacks_a_follower(node: PureNode) -> None:
    found = found_at(node)
    assert (found.primaries, found.followers, found.learners) == (1, 0, 0)
    assert (found.not_serving, found.under_replicated) == (1, 1)
    node.primary.is_serving = True
    assert found_at(node).not_serving == 0
    node.replica.partition.quarantined = True
    found = found_at(node)
    assert (found.not_serving, found.quarantined) == (1, 1)


def test_the_settings_may_ask_for_more_replicas() -> None:
    node = PureNode(A, info_of(A))
    node.lead()
    assert found_at(node, wanted=1).under_replicated == 0
    assert found_at(node, wanted=3).under_replicated == 1


@pytest.mark.parametrize(("in_sync", "roles"), [((A, B), (0, 1, 0)), ((A,), (0, 0, 1))])
def test_other_roles(in_sync: tuple[NodeId, ...], roles: tuple[int, int, int]) -> None:
    found = found_at(PureNode(B, info_of(A, B, in_sync=in_sync)))
    assert (found.primaries, found.followers, found.learners) == roles
    assert (found.not_serving, found.under_replicated, found.led) == (0, 0, [])


def test_how_far_followers_are_behind(node: PureNode) -> None:
    probes = {each: node.send(each) for each in (B, C)}
    for each, probe in probes.items():
        node.answer(each, probe, Position(0, 0), NOW)
    for _ in range(5):
        node.write(applied=False)
    node.follower(B).acked = Position(2, 4)
    found = found_at(node)
    assert found.lag_entries == {B: 1, C: 5}
    assert found.lag_seconds == {}, "nothing waits for a follower"


def test_for_how_long_the_oldest_batch_has_waited_for_a_follower(node: PureNode) -> None:
    probe = node.send(B)
    node.answer(B, probe, Position(0, 0), NOW)
    position = node.write(applied=False)
    node.primary.in_flight.append((Batch(node.replica.partition, position.seq), position))
    node.primary.stuck(position, NOW - 3, 1.0)
    assert found_at(node).lag_seconds == {B: 3.0}
    node.follower(B).acked = position
    assert found_at(node).lag_seconds == {}


def test_a_follower_that_has_not_said_where_it_stands_is_not_behind(node: PureNode) -> None:
    node.write(applied=False)
    assert node.follower(B).state is FollowerState.PROBE
    assert found_at(node).lag_entries == {}


def test_what_is_led(node: PureNode) -> None:
    partition = node.replica.partition
    partition.garbage = 7
    found = found_at(node)
    assert found.led == [partition]
    assert found.garbage == 7
