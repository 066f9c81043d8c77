"""The pure parts of replication: histories, leases, elections, and what a replica accepts."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dstk_cluster.model import PartitionInfo
from dstk_keytypes import KeyRange, NodeId, PartitionId
from dstk_storage.domain.history import START, History, Position, Term
from dstk_storage.domain.log import Entry
from dstk_storage.domain.partition import Partition
from dstk_storage.domain.replication.care import Lapses
from dstk_storage.domain.replication.election import Vote, decide
from dstk_storage.domain.replication.leases import Promises, Timing, lease_end
from dstk_storage.domain.replication.replica import Refused, Replica

A, B, C = NodeId("a"), NodeId("b"), NodeId("c")
P = PartitionId(1)

steps = st.lists(st.tuples(st.integers(0, 2), st.integers(1, 3)), max_size=12)


def grown(moves: list[tuple[int, int]]) -> tuple[History, dict[int, int]]:
    """A history, and the epoch of each of its writes."""
    history, epochs, epoch = History(), dict[int, int](), 1
    for later, count in moves:
        epoch += later
        first = history.last + 1
        history = history.extended(epoch, first, first + count - 1)
        epochs |= dict.fromkeys(range(first, first + count), epoch)
    return history, epochs


@given(steps, st.integers(0, 40), st.integers(0, 40))
def test_a_history_contains_exactly_the_positions_that_it_went_through(
    moves: list[tuple[int, int]], epoch: int, seq: int
) -> None:
    history, epochs = grown(moves)
    assert history.contains(Position(epoch, seq)) == (Position(epoch, seq) == START or epochs.get(seq) == epoch)
    assert history.position == (Position(epochs[history.last], history.last) if epochs else START)


def test_a_history_never_goes_back() -> None:
    history = History().extended(3, 1, 5)
    for epoch, first in ((2, 6), (3, 5)):
        with pytest.raises(AssertionError):
            history.extended(epoch, first, first)


def entry(previous: Position, epoch: int, *keys: bytes) -> Entry:
    return Entry(previous, epoch, previous.seq + 1, keys, [b"\x01\x00record"] * len(keys))


def chain(*epochs: int) -> list[Entry]:
    """Entries of two writes each."""
    found: list[Entry] = []
    for epoch in epochs:
        found.append(entry(found[-1].position if found else START, epoch, b"k", b"l"))
    return found


@given(st.floats(0, 5), st.floats(0, 5), st.floats(0, 5))
def test_a_lease_is_over_before_the_promise_that_it_rests_on(sent: float, under_way: float, back: float) -> None:
    timing, promises = Timing(), Promises(Timing(), started=-10.0)
    promises.hear(P, sent + under_way)
    del back  # however long the answer takes, the lease counts from sending
    assert lease_end(timing, [sent]) < promises.bound_until(P)


def test_a_lease_rests_on_the_follower_that_was_silent_longest() -> None:
    timing = Timing()
    assert lease_end(timing, [5.0, 3.0]) == 3.0 + timing.lease
    assert lease_end(timing, [5.0, -math.inf]) == -math.inf
    assert lease_end(timing, []) == math.inf


def test_a_restarted_follower_waits_longer_for_those_that_it_has_not_heard_since() -> None:
    promises = Promises(Timing(), started=100.0)
    assert promises.bound_until(P) == 100.0 + Timing().start
    promises.hear(P, 100.5)
    assert promises.bound_until(P) == 100.5 + Timing().grace


def test_a_lease_close_to_the_grace_period_is_refused() -> None:
    with pytest.raises(AssertionError):
        Timing(lease=0.95, grace=1.0)


def test_a_node_that_falls_silent_again_and_again_is_taken_in_later_each_time() -> None:
    lapses, ends = Lapses(), []
    for at in range(0, 70, 10):
        for of_another_partition in (0.0, 0.1, 0.5):
            lapses.note(at + of_another_partition, lease=0.7)
        ends.append(lapses.probation_ends() - at)
    assert ends == [-math.inf, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0]


def test_a_node_that_fell_silent_long_ago_is_forgiven() -> None:
    lapses = Lapses()
    for at in (0, 5, 36):
        lapses.note(at, lease=0.7)
    assert lapses.probation_ends() == -math.inf


LONG, SHORT = History((Term(1, 1),), 9), History((Term(1, 1),), 7)
FORKED = History((Term(1, 1), Term(2, 6)), 8)


def vote(history: History, promised: int = 5, *, claims: bool = False) -> Vote:
    return Vote(history.position, promised, claims)


def test_whoever_has_most_takes_over_with_all_that_have_less() -> None:
    won = decide(A, LONG, 5, {B: vote(SHORT)}, C)
    assert won is not None
    assert won.in_sync == (A, B)
    assert decide(B, SHORT, 5, {A: vote(LONG)}, C) is None


def test_among_equals_the_maps_primary_is_first_then_the_smallest_id() -> None:
    everybody = {node: vote(LONG) for node in (A, B, C)}
    for primary, winner in ((C, C), (NodeId("gone"), A)):
        for node in everybody:
            others = {other: each for other, each in everybody.items() if other != node}
            assert (decide(node, LONG, 5, others, primary) is not None) == (node == winner)


def test_one_whose_writes_are_not_the_winners_is_not_taken_along() -> None:
    won = decide(A, FORKED, 5, {B: vote(LONG)}, C)
    assert won is not None
    assert won.in_sync == (A,)


def test_a_primary_that_lives_or_a_higher_promise_ends_the_candidacy() -> None:
    assert decide(A, LONG, 5, {B: vote(SHORT, claims=True)}, B) is None
    assert decide(A, LONG, 5, {B: vote(SHORT, promised=6)}, B) is None


def test_alone_it_takes_over_alone() -> None:
    won = decide(A, SHORT, 5, {}, B)
    assert won is not None
    assert won.in_sync == (A,)


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


def follower(promised: int = 1) -> Replica:
    info = PartitionInfo(P, KeyRange(b"", None), 1, A, (A, B), (A, B))
    return Replica(B, info, Partition(P, info.range, 1), promised, info.range)


def test_a_follower_accepts_what_follows_and_nothing_else() -> None:
    replica, entries = follower(), chain(1, 1, 2)
    assert replica.accept(1, entries[:1]) == entries[:1]
    with pytest.raises(Refused):
        replica.accept(1, entries[2:])
    assert replica.accept(2, entries[1:]) == entries[1:]
    assert replica.tail == Position(2, 6)
    assert replica.promised == 2


def test_a_follower_accepts_nothing_below_its_promise() -> None:
    replica = follower(promised=3)
    with pytest.raises(Refused):
        replica.accept(2, chain(1))
    assert replica.accept(3, chain(1)), "an older entry may come from a newer primary"


@pytest.mark.parametrize("epoch", [2000, 2**63, 2**64 - 1])
def test_a_follower_promises_no_epoch_far_above_the_maps(epoch: int) -> None:
    replica = follower()
    with pytest.raises(Refused):
        replica.accept(epoch, chain(1))
    assert replica.promised == 1
    assert replica.accept(900, chain(1)), "elections that nobody wins take a few"


@pytest.mark.parametrize(
    "forged",
    [
        Entry(START, 1, 7, [b"k"], [b""]),
        Entry(START, 1, 0, [b"k"], [b""]),
        Entry(START, 1, 2**64 - 1, [b"k"], [b""]),
        Entry(START, 3, 1, [b"k"], [b""]),
        Entry(START, 1, 1, [], []),
    ],
)
def test_a_follower_accepts_no_entry_that_cannot_follow(forged: Entry) -> None:
    replica = follower()
    with pytest.raises(Refused):
        replica.accept(2, [forged])
    assert (replica.tail, replica.accept(2, chain(1))) == (START, chain(1))


def test_a_follower_passes_over_what_it_has_on_disk() -> None:
    replica, entries = follower(), chain(1, 1)
    replica.accept(1, entries[:1])
    replica.log.applied(History((Term(1, 1),), 2))
    assert replica.accept(1, entries) == entries[1:]


def test_a_replica_that_is_being_rebuilt_or_leads_accepts_nothing() -> None:
    replica = follower()
    replica.partition.rebuilding = True
    with pytest.raises(Refused):
        replica.accept(9, chain(1))
    replica.partition.rebuilding = False
    replica.lead(2, (A, B), (A, B), 0.0)
    with pytest.raises(Refused):
        replica.accept(9, chain(1))


def test_what_a_follower_still_writes_counts_behind_a_split() -> None:
    """It was out of sync when the partition rested: else it would have answered for everything."""
    replica, entries = follower(), chain(1, 1)
    replica.accept(1, entries)
    replica.log.applied(History((Term(1, 1),), 2))  # the second one is on its way to disk
    replica.partition.range = KeyRange(b"", b"m")
    replica.change_range()
    replica.log.applied(History((Term(1, 1),), 4))
    assert replica.tail == replica.log.position
    assert replica.accept(2, [entry(replica.tail, 2, b"k")])


def test_a_replica_that_is_to_be_copied_begins_at_the_start() -> None:
    replica = follower()
    replica.accept(1, chain(1))
    replica.partition.range, replica.partition.rebuilding = KeyRange(b"", b"m"), True
    replica.change_range()
    assert replica.tail == START
