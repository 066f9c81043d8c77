"""Leases and promises between pairs of nodes: a primary stops serving before any of its followers may take over."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.machines import A, B, C, P

from dstk_keytypes import PartitionId
from dstk_storage.domain.lease import FOR_EVER
from dstk_storage.domain.replication.heartbeats import Claim, Heartbeat, HeartbeatResponse
from dstk_storage.domain.replication.lease_book import LeaseBook
from dstk_storage.domain.replication.promises import Promises
from dstk_storage.domain.replication.timing import Timing

Q = PartitionId(2)
TIMING = Timing()
LEADS = Claim(3, leads=True)


class Follower:
    """The promises of one node, whose replicas have promised these epochs."""

    def __init__(self, started: float = -10.0, **promised: int) -> None:
        self.promises = Promises(TIMING, started)
        self.promised = {P: promised.get("p", 0), Q: promised.get("q", 0)}
        self.is_whole = True

    def judge(self, partition: PartitionId, epoch: int) -> int | None:
        if partition not in self.promised:
            return 0
        if self.promised[partition] > epoch:
            return self.promised[partition]
        self.promised[partition] = epoch
        return None if self.is_whole else epoch

    def hear(self, heartbeat: Heartbeat, now: float) -> HeartbeatResponse:
        return self.promises.receive(heartbeat, now, self.judge)[0]

    def promise(self, partition: PartitionId, epoch: int) -> None:
        self.promised[partition] = epoch
        self.promises.reconsider(partition, self.judge)


def leader(*partitions: PartitionId, incarnation: int = 1) -> LeaseBook:
    """A node that leads partitions with the follower B."""
    book = LeaseBook(A, TIMING, incarnation)
    book.connect([B])
    for partition in partitions or (P,):
        book.claim(partition, LEADS, [B])
    return book


def exchange(book: LeaseBook, follower: Follower, sent: float, heard: float) -> dict[PartitionId, int | None]:
    return book.answer(B, sent, follower.hear(book.heartbeat(B), heard))


def test_a_lease_counts_from_the_sending_of_what_was_answered() -> None:
    book, follower = leader(), Follower()
    lease = book.rest_on(P, [B])
    assert lease.end == -math.inf
    assert exchange(book, follower, 1.0, 1.3) == {P: None}
    assert book.rest_on(P, [B]).end == 1.0 + TIMING.lease
    assert follower.promises.bound_until(P) == 1.3 + TIMING.grace


def test_a_partition_without_followers_is_served_for_ever() -> None:
    assert leader().rest_on(P, []) is FOR_EVER


def test_partitions_that_rest_on_the_same_followers_share_a_lease() -> None:
    book, follower = leader(P, Q), Follower()
    exchange(book, follower, 1.0, 1.1)
    assert book.rest_on(P, [B]) is book.rest_on(Q, [B])
    shared = book.rest_on(P, [B])
    exchange(book, follower, 2.0, 2.1)
    assert shared.end == 2.0 + TIMING.lease


def test_a_heartbeat_between_partitions_at_rest_is_empty() -> None:
    book, follower = leader(P, Q), Follower()
    assert len(book.heartbeat(B).claims) == 2
    exchange(book, follower, 1.0, 1.1)
    assert not book.heartbeat(B).claims
    book.claim(Q, Claim(4, leads=True), [B])
    assert book.heartbeat(B).claims == {Q: Claim(4, leads=True)}


def test_a_lease_rests_on_the_follower_that_was_silent_longest() -> None:
    book = LeaseBook(A, TIMING, 1)
    book.connect([B, C])
    book.claim(P, LEADS, [B, C])
    for node, sent in ((B, 5.0), (C, 3.0)):
        book.answer(node, sent, Follower().hear(book.heartbeat(node), sent))
    assert book.rest_on(P, [B, C]).end == 3.0 + TIMING.lease
    assert book.rest_on(P, [B]).end == 5.0 + TIMING.lease


def test_a_follower_that_has_promised_more_renews_nothing_from_that_moment() -> None:
    book, follower = leader(P, Q), Follower()
    exchange(book, follower, 1.0, 1.1)
    leases = {partition: book.rest_on(partition, [B]) for partition in (P, Q)}
    follower.promise(P, 9)
    assert exchange(book, follower, 2.0, 2.1) == {P: 9}
    leases = {partition: book.rest_on(partition, [B]) for partition in (P, Q)}
    assert leases[P].end == 1.0 + TIMING.lease
    assert leases[Q].end == 2.0 + TIMING.lease
    assert follower.promises.bound_until(P) == 1.1 + TIMING.grace
    assert follower.promises.bound_until(Q) == 2.1 + TIMING.grace


def test_a_primary_that_bumps_its_epoch_above_the_promise_is_followed_again() -> None:
    book, follower = leader(), Follower()
    exchange(book, follower, 1.0, 1.1)
    follower.promise(P, 9)
    exchange(book, follower, 2.0, 2.1)
    book.claim(P, Claim(10, leads=True), [B])
    exchange(book, follower, 3.0, 3.1)
    assert book.rest_on(P, [B]).end == 3.0 + TIMING.lease


def test_an_epoch_that_the_follower_learns_before_the_heartbeat_says_so_costs_one_renewal() -> None:
    """The primary has changed the map, and an entry of the new epoch arrives before the next heartbeat does: the claim that the
    follower knows does not bind it any more, so that its response renews nothing.
    """
    book, follower = leader(), Follower()
    exchange(book, follower, 1.0, 1.1)
    heartbeat = book.heartbeat(B)
    book.claim(P, Claim(4, leads=True), [B])
    follower.promise(P, 4)
    assert book.answer(B, 1.3, follower.hear(heartbeat, 1.4)) == {P: 4}
    assert book.rest_on(P, [B]).end == 1.0 + TIMING.lease
    assert follower.promises.bound_until(P) == 1.1 + TIMING.grace
    exchange(book, follower, 1.5, 1.6)
    assert book.rest_on(P, [B]).end == 1.5 + TIMING.lease
    assert follower.promises.bound_until(P) == 1.6 + TIMING.grace


def test_another_term_of_office_is_not_covered_by_the_claim_of_the_one_before() -> None:
    book, follower = leader(), Follower()
    heartbeat = book.heartbeat(B)
    response = follower.hear(heartbeat, 1.1)
    book.claim(P, Claim(3, leads=False), [B])
    book.claim(P, Claim(5, leads=True), [B])
    book.answer(B, 1.0, response)
    assert book.rest_on(P, [B]).end == -math.inf
    exchange(book, follower, 2.0, 2.1)
    assert book.rest_on(P, [B]).end == 2.0 + TIMING.lease


def test_a_follower_that_has_restarted_is_told_everything_again_and_counts_for_nothing_before() -> None:
    book, follower = leader(), Follower()
    exchange(book, follower, 1.0, 1.1)
    exchange(book, follower, 1.5, 1.6)
    restarted = Follower(started=2.0)
    assert exchange(book, restarted, 2.1, 2.2) == {}
    assert book.rest_on(P, [B]).end == 1.5 + TIMING.lease
    assert restarted.promises.bound_until(P) == 2.0 + TIMING.start
    assert exchange(book, restarted, 2.3, 2.4) == {P: None}
    assert book.rest_on(P, [B]).end == 2.3 + TIMING.lease


def test_a_sender_that_has_restarted_disclaims_what_it_led() -> None:
    book, follower = leader(), Follower()
    exchange(book, follower, 1.0, 1.1)
    again = LeaseBook(A, TIMING, incarnation=2)
    again.connect([B])
    again.claim(P, Claim(3, leads=False), [B])
    exchange(again, follower, 1.5, 1.6)
    assert follower.promises.is_disclaimed(P, 3, by=A)
    assert not follower.promises.is_disclaimed(P, 4, by=A)
    assert not follower.promises.is_followed(P)
    assert follower.promises.bound_until(P) == 1.1 + TIMING.grace


def test_a_replica_that_goes_is_refused_and_one_that_is_not_whole_is_told_of() -> None:
    book, follower = leader(), Follower()
    follower.is_whole = False
    assert exchange(book, follower, 1.0, 1.1) == {P: 3}
    assert book.rest_on(P, [B]).end == 1.0 + TIMING.lease
    del follower.promised[P]
    follower.promises.reconsider(P, follower.judge)
    assert exchange(book, follower, 2.0, 2.1) == {P: 0}
    assert book.rest_on(P, [B]).end == 1.0 + TIMING.lease


def test_each_silence_is_told_once_and_its_end_wakes_everything() -> None:
    book, follower = leader(P, Q), Follower()
    exchange(book, follower, 1.0, 1.1)
    assert book.fall_silent(1.5) == []
    assert book.fall_silent(1.8) == [P, Q]
    assert book.fall_silent(1.9) == []
    assert follower.promises.fall_silent(2.1) == [P, Q]
    assert follower.promises.fall_silent(2.2) == []
    assert set(exchange(book, follower, 2.3, 2.4)) == {P, Q}
    assert follower.promises.is_followed(P)


def test_a_lease_close_to_the_grace_period_is_refused() -> None:
    with pytest.raises(AssertionError):
        Timing(lease=0.95, grace=1.0)


steps = st.lists(
    st.tuples(
        st.sampled_from(["send", "hear", "answer", "promise", "claim", "learn", "restart"]),
        st.floats(0.01, 0.4),
        st.integers(0, 5),
    ),
    max_size=40,
)


@given(steps)
def test_a_lease_is_over_before_its_follower_may_take_over(moves: list[tuple[str, float, int]]) -> None:
    """Whatever is lost, late, out of order or forgotten: no lease rests on a follower that is bound by nothing."""
    book, follower, now, epoch = leader(), Follower(), 0.0, 3
    requests: list[tuple[float, Heartbeat]] = []
    responses: list[tuple[float, HeartbeatResponse]] = []
    for move, seconds, which in moves:
        now += seconds
        if move == "send":
            requests.append((now, book.heartbeat(B)))
        elif move == "hear" and requests:
            sent, heartbeat = requests[which % len(requests)]
            responses.append((sent, follower.hear(heartbeat, now)))
        elif move == "answer" and responses:
            book.answer(B, *responses[which % len(responses)])
        elif move == "promise" and now >= follower.promises.bound_until(P):
            follower.promise(P, max(epoch, follower.promised[P]) + 1)
        elif move == "claim" and which == 0:
            epoch += 1
            book.claim(P, Claim(epoch, leads=True), [B])
        elif move == "learn" and follower.promised[P] < epoch:
            follower.promise(P, epoch)  # by an entry of the primary's own
        elif move == "restart" and which == 0:
            follower = Follower(started=now, p=follower.promised[P])
        end = book.rest_on(P, [B]).end
        assert end < follower.promises.bound_until(P) or end <= now, f"{end} outlives the promise"
        if follower.promised[P] > epoch:
            assert end <= now, "it may have been taken over"
