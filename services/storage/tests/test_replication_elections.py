"""Who takes over a partition."""

import itertools

from kit.machines import A, B, C, P, PureNode, info_of

from dstk_keytypes import NodeId
from dstk_service.observe import Event
from dstk_storage.domain.events import ElectionLost, ElectionStarted, ElectionWon
from dstk_storage.domain.history import START, History, Position, Term
from dstk_storage.domain.replication.actions import Observe
from dstk_storage.domain.replication.election import decide
from dstk_storage.domain.replication.ports import Vote

LONG, SHORT = History((Term(1, 1),), 9), History((Term(1, 1),), 7)
LATE = 100.0
"""When no promise binds any more."""

FORKED = History((Term(1, 1), Term(2, 6)), 8)


def vote(history: History, promised: int = 5, *, claims: bool = False) -> Vote:
    return Vote(history.position, promised, claims)


def test_whoever_has_most_takes_over_with_all_that_have_less() -> None:
    won = decide(A, LONG, 5, {B: vote(SHORT)}, C)
    assert won == (A, B)
    assert decide(B, SHORT, 5, {A: vote(LONG)}, C) is None


def test_among_equals_the_maps_primary_is_first_then_the_smallest_id() -> None:
    everybody = {node: vote(LONG) for node in (A, B, C)}
    for primary, winner in ((C, C), (NodeId("gone"), A)):
        for node in everybody:
            others = {other: each for other, each in everybody.items() if other != node}
            assert (decide(node, LONG, 5, others, primary) is not None) == (node == winner)


def test_a_replica_whose_writes_are_not_the_winners_is_left_out() -> None:
    won = decide(A, FORKED, 5, {B: vote(LONG)}, C)
    assert won == (A,)


def test_a_primary_that_lives_or_a_higher_promise_ends_the_election() -> None:
    assert decide(A, LONG, 5, {B: vote(SHORT, claims=True)}, B) is None
    assert decide(A, LONG, 5, {B: vote(SHORT, promised=6)}, B) is None


def test_alone_it_takes_over_alone() -> None:
    won = decide(A, SHORT, 5, {}, B)
    assert won == (A,)


def test_of_any_candidates_with_the_same_answers_exactly_one_wins() -> None:
    histories = [LONG, SHORT, FORKED, History()]
    for chosen in itertools.product(histories, repeat=3):
        members = dict(zip((A, B, C), chosen, strict=True))
        winners = [
            node
            for node, own in members.items()
            if decide(node, own, 5, {other: vote(h) for other, h in members.items() if other != node}, B)
        ]
        assert len(winners) == 1


def observed(node: PureNode) -> list[Event]:
    return [action.event for action in node.drain() if isinstance(action, Observe)]


def elect(node: PureNode, votes: dict[NodeId, Vote], now: float = 0.0) -> bool:
    """One election; whether the node asks for a change of the map, which is made."""
    elections = node.machines.elections
    ballot = elections.begin(node.replica, LATE)
    assert ballot is not None
    new = elections.count(node.replica, ballot, votes, now)
    if new is not None:
        elections.win(node.replica, ballot, new, now)
    return new is not None


def test_the_winner_leads_the_highest_epoch_that_it_has_promised() -> None:
    node = PureNode(B, info_of(A, B, C, epoch=4))
    node.replica.promise(6)
    assert elect(node, {C: Vote(START, 6)})
    assert (node.primary.epoch, node.replica.info.primary, node.replica.info.in_sync) == (6, B, (B, C))
    assert observed(node) == [ElectionStarted(P, 6), ElectionWon(P, 6, A)]


def test_a_vote_that_names_a_higher_epoch_raises_the_next_ballot() -> None:
    node = PureNode(B, info_of(A, B, C, epoch=4))
    assert not elect(node, {C: Vote(START, 9)})
    assert observed(node) == [ElectionStarted(P, 5), ElectionLost(P, 5)]
    ballot = node.machines.elections.begin(node.replica, LATE)
    assert ballot is not None
    assert ballot.epoch == 9


def test_a_vote_that_names_an_epoch_that_cannot_be_is_left_out() -> None:
    node = PureNode(B, info_of(A, B, C, epoch=4))
    assert elect(node, {C: Vote(START, 1 << 50)})
    assert node.replica.info.in_sync == (B,)


def test_a_primary_that_lives_binds_the_candidate_as_a_heartbeat_would() -> None:
    node = PureNode(B, info_of(A, B, C, epoch=4))
    assert not elect(node, {A: Vote(Position(4, 9), 5, claims=True)}, now=50.0)
    assert node.machines.promises.bound_until(P) > 50.0


def test_a_map_that_has_changed_since_the_votes_were_asked_for_ends_the_election() -> None:
    node = PureNode(B, info_of(A, B, C, epoch=4))
    elections = node.machines.elections
    ballot = elections.begin(node.replica, LATE)
    assert ballot is not None
    node.adopt(info_of(A, B, C, in_sync=(A, B), epoch=5), 0.0)
    assert elections.count(node.replica, ballot, {C: Vote(START, 5)}, 0.0) is None
    assert observed(node)[-1] == ElectionLost(P, 5)


def test_a_node_that_was_evicted_while_its_election_waited_for_its_turn_begins_none() -> None:
    """The primary goes on without it: what is acknowledged since it does not have."""
    node = PureNode(B, info_of(A, B, C, epoch=4))
    elections = node.machines.elections
    assert elections.is_due(node.replica, LATE, is_corrupt=False)
    node.adopt(info_of(A, B, C, in_sync=(A, C), epoch=5), LATE)
    assert elections.begin(node.replica, LATE) is None
    assert observed(node) == []
    assert node.replica.promised <= 5


def test_a_node_that_heard_of_the_primary_while_its_election_waited_begins_none() -> None:
    node = PureNode(B, info_of(A, B, C, epoch=4))
    elections = node.machines.elections
    assert elections.is_due(node.replica, LATE, is_corrupt=False)
    node.machines.promises.hear(P, LATE)
    assert elections.begin(node.replica, LATE) is None


def test_a_node_that_is_retiring_or_whose_disk_hangs_takes_nothing_over() -> None:
    node = PureNode(B, info_of(A, B, epoch=4))
    elections, in_sync = node.machines.elections, node.machines.in_sync
    late = 100.0
    assert elections.is_due(node.replica, late, is_corrupt=False)
    elections.is_retiring = True
    assert not elections.is_due(node.replica, late, is_corrupt=False)
    elections.is_retiring = False
    writing = object()
    in_sync.watch_own_disk(writing, 0.0)
    in_sync.watch_own_disk(writing, late)
    assert not elections.is_due(node.replica, late, is_corrupt=False)
