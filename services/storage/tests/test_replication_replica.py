"""What a replica accepts, and what becomes of it when the range changes."""

import pytest
from kit.logs import chain, entry
from kit.machines import WHOLE, A, B, P, PureNode, info_of, replica_of

from dstk_keytypes import KeyRange
from dstk_storage.domain import layout
from dstk_storage.domain.errors import ReadOnly
from dstk_storage.domain.history import START, History, Position, Term
from dstk_storage.domain.log import Entry
from dstk_storage.domain.replication.follower_handler import Taken
from dstk_storage.domain.replication.ports import Append
from dstk_storage.domain.replication.replica import Refused, Replica
from dstk_storage.domain.room import Room


def follower(promised: int = 1) -> Replica:
    return replica_of(B, info_of(A, B), promised)


def test_a_follower_accepts_what_follows_and_nothing_else() -> None:
    replica, entries = follower(), chain(1, 1, 2)
    assert replica.accept(1, entries[:1]) == entries[:1]
    with pytest.raises(Refused):
        replica.accept(1, entries[2:])
    assert replica.accept(2, entries[1:]) == entries[1:]
    assert replica.log.tail == Position(2, 6)
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
    assert replica.accept(900, chain(1)), "elections without a winner take a few"


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
    assert (replica.log.tail, replica.accept(2, chain(1))) == (START, chain(1))


def test_a_follower_passes_over_what_it_has_on_disk() -> None:
    replica, entries = follower(), chain(1, 1)
    replica.accept(1, entries[:1])
    replica.log.applied(History((Term(1, 1),), 2))
    assert replica.accept(1, entries) == entries[1:]


def test_a_replica_that_needs_a_snapshot_or_leads_accepts_nothing() -> None:
    replica = follower()
    replica.partition.needs_snapshot = True
    with pytest.raises(Refused):
        replica.accept(9, chain(1))
    replica.partition.needs_snapshot = False
    replica.lead(2, 0.0, {})
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
    assert replica.log.tail == replica.log.position
    assert replica.accept(2, [entry(replica.log.tail, 2, b"k")])


def test_a_replica_that_needs_a_snapshot_begins_at_the_start() -> None:
    replica = follower()
    replica.accept(1, chain(1))
    replica.partition.range, replica.partition.needs_snapshot = KeyRange(b"", b"m"), True
    replica.change_range()
    assert replica.log.tail == START


def test_on_a_disk_without_room_nothing_is_accepted_behind_what_it_refuses() -> None:
    """A removal would fit, but on disk it would follow a gap."""
    node = PureNode(B, info_of(A, B))
    removal = layout.encode_removal(3, 0, 0)
    entries = [*chain(1), Entry(Position(1, 2), 1, 3, [b"k"], [removal])]
    handler = node.machines.followers
    node.disk.intake.limit(Room.FULL, ReadOnly("the disk is full"))
    assert handler.take(Append(P, 1, WHOLE, entries)) == Taken([], is_all=False)
    assert node.replica.log.tail == START
    node.disk.intake.limit(Room.AMPLE, ReadOnly("the disk has room"))
    assert handler.take(Append(P, 1, WHOLE, entries)) == Taken(entries, is_all=True)


def test_a_history_has_no_gap() -> None:
    with pytest.raises(AssertionError):
        History((Term(1, 1),), 4).extended(1, 6, 6)
