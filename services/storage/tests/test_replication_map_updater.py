"""What a primary makes of a map that is not as it thought."""

from dataclasses import replace

import pytest
from kit.machines import A, B, C, P, PureNode, info_of

from dstk_service.observe import Event
from dstk_storage.domain.events import EpochBumped, ReplicaAdmitted, ReplicaEvicted
from dstk_storage.domain.replication.actions import Observe, StepDown

BEFORE = info_of(A, B, C, epoch=2)


@pytest.fixture
def node() -> PureNode:
    made = PureNode(A, BEFORE)
    made.lead()
    made.drain()
    return made


def test_what_another_node_has_changed_ends_the_term_and_is_learnt_from_the_watch(node: PureNode) -> None:
    """By an entry before this one it may have been removed, and will drop everything when the watch tells of it."""
    updater, primary = node.machines.updater, node.primary
    assert updater.attempt(primary, replace(BEFORE, epoch=3, in_sync=(A, C)))
    updater.correct(node.replica, primary, replace(BEFORE, epoch=10, primary=B, in_sync=(B, C)), 0.0)
    assert node.replica.primary is None
    assert node.drain() == [StepDown(node.replica)]
    assert node.replica.promised == 10
    assert node.replica.info == BEFORE, "else it would answer as one that knows why it is a replica"


def test_a_change_of_its_own_that_has_worked_unnoticed_is_adopted(node: PureNode) -> None:
    updater, primary = node.machines.updater, node.primary
    unnoticed = replace(BEFORE, epoch=3, in_sync=(A, C))
    assert updater.attempt(primary, unnoticed)
    primary.is_changing = False
    assert updater.attempt(primary, replace(BEFORE, epoch=3, in_sync=(A, B)))
    updater.correct(node.replica, primary, unnoticed, 0.0)
    assert node.replica.primary is primary
    assert node.replica.info == unnoticed
    assert (primary.epoch, primary.required(), primary.attempts) == (3, [C], [])


def test_one_change_at_a_time(node: PureNode) -> None:
    assert node.machines.updater.attempt(node.primary, replace(BEFORE, epoch=3))
    assert not node.machines.updater.attempt(node.primary, replace(BEFORE, epoch=4))


def test_an_eviction_is_asked_for_while_an_attempt_of_unknown_outcome_is_kept(node: PureNode) -> None:
    """It may have admitted the node that is to be evicted (R4)."""
    updater, primary = node.machines.updater, node.primary
    learner = replace(BEFORE, in_sync=(A, B))
    node.replica.info = learner
    assert updater.eviction(node.replica, [C]) is None
    updater.attempt(primary, replace(learner, epoch=3, in_sync=(A, B, C)))
    assert updater.eviction(node.replica, [C]) == replace(learner, epoch=3)


def test_an_epoch_that_cannot_be_is_not_bumped_above(node: PureNode) -> None:
    updater = node.machines.updater
    assert updater.bumped(node.replica, 2) is None, "bumped already"
    assert updater.bumped(node.replica, 7) == replace(BEFORE, epoch=7)
    assert updater.bumped(node.replica, 1 << 40) is None


def test_a_bumped_epoch_is_told_and_shipped_to_the_followers(node: PureNode) -> None:
    updater = node.machines.updater
    node.drain()
    new = replace(BEFORE, epoch=7)
    assert updater.attempt(node.primary, new)
    assert updater.conclude(node.replica, node.primary, new, 0.0)
    updater.epoch_bumped(node.replica, new)
    assert told(node) == [EpochBumped(P, 7)]
    assert sorted(node.shipped()) == [B, C]


def told(node: PureNode) -> list[Event]:
    return [action.event for action in node.machines.outbox.actions if isinstance(action, Observe)]


def test_a_change_of_the_in_sync_set_is_told_once_even_if_only_the_watch_brings_it(node: PureNode) -> None:
    node.drain()
    smaller = replace(BEFORE, epoch=3, in_sync=(A, C))
    assert node.machines.updater.attempt(node.primary, smaller)
    node.machines.updater.follow(node.replica, smaller, 0.0)
    assert node.machines.updater.conclude(node.replica, node.primary, smaller, 0.0), "the answer comes later"
    assert told(node) == [ReplicaEvicted(P, B, 3)]
    node.drain()
    node.primary.is_changing = False
    assert node.machines.updater.attempt(node.primary, replace(BEFORE, epoch=4))
    node.machines.updater.follow(node.replica, replace(BEFORE, epoch=4), 0.0)
    assert told(node) == [ReplicaAdmitted(P, B, 4)]


def test_a_replica_that_is_removed_is_not_told_as_evicted(node: PureNode) -> None:
    node.drain()
    removed = replace(BEFORE, epoch=3, replicas=(A, C), in_sync=(A, C))
    assert node.machines.updater.attempt(node.primary, removed)
    assert node.machines.updater.conclude(node.replica, node.primary, removed, 0.0)
    assert told(node) == []


def test_an_evicted_follower_is_probed_and_not_waited_for(node: PureNode) -> None:
    node.machines.updater.evicted(node.replica, [B])
    assert node.primary.required() == [C]
    assert node.follower(B).generation == 1
