"""What replication relies on between nodes: one suite for the twin in memory and for real gRPC, behind a proxy."""

import asyncio

from kit.appends import append, entry_after
from kit.peers import FakeNodes, Recorder, failure, stands_at

from dstk_keytypes import KeyRange, NodeId, PartitionId
from dstk_storage.domain.history import START, History, Position, Term
from dstk_storage.domain.layout import encode_record, encode_removal
from dstk_storage.domain.log import Entry
from dstk_storage.domain.replication.heartbeats import Claim, Heartbeat, HeartbeatResponse
from dstk_storage.domain.replication.ports import Append, Appended, Digest, SnapshotChunk, Vote

B = NodeId("b")
P, Q = PartitionId(1), PartitionId(2**64 - 1)
EVERYTHING = KeyRange()


def seen(groups: list[Append] | tuple[Append, ...]) -> list[tuple[object, ...]]:
    """Appends by what they mean: a sequence is a list here and a tuple there."""
    return [
        (a.partition, a.epoch, a.range, [(e.previous, e.epoch, e.first, [*e.keys], [*e.records]) for e in a.entries])
        for a in groups
    ]


async def test_appends_arrive_as_they_were_sent_and_so_do_their_answers(nodes: FakeNodes) -> None:
    follower = Recorder()
    await nodes.start(B, follower)
    removal = Entry(Position(2, 7), 3, 8, [b"\0", b"k" * 1024], [encode_removal(8, 5, 0), encode_removal(9, 5, 77)])
    sent = [Append(P, 4, KeyRange(b"", b"m"), [entry_after(), removal]), Append(Q, 9, KeyRange(b"m"), [])]
    answers = {
        P: Appended(P, accepted=False, position=Position(3, 9), promised=4, needs_snapshot=True),
        Q: Appended(Q, accepted=True, position=START, promised=2**64 - 1, behind=True),
    }
    follower.answer = lambda append: answers[append.partition]
    assert list(await nodes.peers.append(B, sent)) == [answers[P], answers[Q]]
    assert seen([*follower.groups[0]]) == seen(sent)
    assert list(await nodes.peers.append(B, [])) == []


async def test_appends_arrive_in_the_order_in_which_they_are_sent(nodes: FakeNodes) -> None:
    follower = Recorder()
    await nodes.start(B, follower)
    await asyncio.gather(*(nodes.peers.append(B, [append(1, entry_after(number))]) for number in range(100)))
    assert [group[0].entries[0].first for group in follower.groups] == list(range(1, 101))


async def test_a_group_of_any_size_arrives_whole_and_in_order(nodes: FakeNodes) -> None:
    """1.2 MB entries; one partition with 4 MiB, one with nothing, one with an entry that exceeds a usual message."""
    follower = Recorder()
    await nodes.start(B, follower)
    many = [entry_after(number * 10, 10, 120_000) for number in range(4)]
    group = [append(1, *many), Append(PartitionId(2), 1, EVERYTHING, ()), append(3, entry_after(0, 5, 1 << 20))]
    group += [append(number) for number in range(4, 1000)]
    answers = await nodes.peers.append(B, group)
    assert [answer.partition for answer in answers] == [a.partition for a in group]
    assert all(answer.accepted for answer in answers)
    assert answers[0].position == Position(1, 40)
    assert answers[2].position == Position(1, 5)
    arrived = [(a.partition, e) for message in follower.groups for a in message for e in a.entries]
    wanted = [(a.partition, e) for a in group for e in a.entries]
    assert [(p, e.first, [*e.keys], [*e.records]) for p, e in arrived] == [
        (p, e.first, [*e.keys], [*e.records]) for p, e in wanted
    ]


async def test_a_follower_that_takes_nothing_says_where_it_stands(nodes: FakeNodes) -> None:
    follower = Recorder()
    await nodes.start(B, follower)
    follower.answer = stands_at(7, 3)
    (answer,) = await nodes.peers.append(B, [append(1, *(entry_after(n, 1, 1 << 20) for n in range(5)))])
    assert answer == Appended(P, accepted=False, position=Position(7, 3), promised=7)


async def test_heartbeats_votes_leaves_and_digests_arrive_and_are_answered(nodes: FakeNodes) -> None:
    follower = Recorder()
    await nodes.start(B, follower)
    claims = {
        P: Claim(3, leads=True),
        Q: Claim(4, leads=True),
        PartitionId(5): Claim(6, leads=False),
        PartitionId(7): None,
    }
    heartbeat = Heartbeat(NodeId("me"), 77, 2, 3, claims)
    follower.refused = {Q: 9, P: 0}
    assert await nodes.peers.heartbeat(B, heartbeat) == HeartbeatResponse(77, 3, {Q: 9, P: 0})
    assert follower.heartbeats == [heartbeat]
    follower.vote = Vote(Position(3, 4), 5, claims=True)
    assert await nodes.peers.request_vote(B, P, 8, 7) == follower.vote
    assert follower.vote_requests == [(P, 8, 7)]
    await nodes.peers.leave(B)
    assert follower.leaves == ["me"]
    follower.digest = Digest(b"\xff" * 16, 12, 1 << 40, Position(3, 9))
    assert await nodes.peers.digest(B, P, KeyRange(b"a", b"b")) == follower.digest
    assert await nodes.peers.digest(B, Q, EVERYTHING) == follower.digest
    assert follower.ranges == [(P, KeyRange(b"a", b"b")), (Q, EVERYTHING)]


async def test_a_node_without_a_whole_replica_counts_as_unreachable(nodes: FakeNodes) -> None:
    await nodes.start(B, Recorder())
    assert not (await failure(nodes.peers.request_vote(B, P, 1, 1))).refused
    assert not (await failure(nodes.peers.digest(B, P, EVERYTHING))).refused


async def test_a_copy_of_any_size_arrives_from_its_first_piece_to_its_last(nodes: FakeNodes) -> None:
    follower = Recorder()
    await nodes.start(B, follower)
    keys, records = [b"%d" % n for n in range(5)], [encode_record(b"v" * (1 << 20), n + 1, 5, 0) for n in range(5)]
    history = History((Term(1, 1), Term(4, 3)), 5)
    chunk = SnapshotChunk(P, 4, KeyRange(b"", b"x"), keys, records, first=True, history=history)
    await nodes.peers.install_snapshot(B, chunk)
    pieces = follower.chunks
    assert [key for piece in pieces for key in piece.keys] == keys
    assert [record for piece in pieces for record in piece.records] == records
    assert [piece.first for piece in pieces] == [True] + [False] * (len(pieces) - 1)
    assert [piece.history for piece in pieces] == [None] * (len(pieces) - 1) + [history]
    assert {(piece.partition, piece.epoch, piece.range) for piece in pieces} == {(P, 4, chunk.range)}
    follower.takes = False
    assert not (
        await failure(nodes.peers.install_snapshot(B, SnapshotChunk(P, 4, EVERYTHING, (), (), history=History())))
    ).refused
    assert follower.chunks[-1].history == History()
