"""What replication relies on between nodes: one suite for the twin in memory and for real gRPC, behind a proxy."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable

import pytest
from kit.peers import HASTY, ME, PATIENT, GrpcWorld, MemoryWorld, Recorder, stands_at, world

from dstk_keytypes import KeyRange, NodeId, PartitionId
from dstk_service.testing import eventually
from dstk_storage.domain.history import START, History, Position
from dstk_storage.domain.layout import encode_record, encode_removal
from dstk_storage.domain.replication.election import Standing
from dstk_storage.domain.replication.ports import Append, Appended, Beacon, Chunk, Digest, PeerUnreachable
from dstk_storage.domain.replication.ring import Entry

B, C = NodeId("b"), NodeId("c")
P, Q = PartitionId(1), PartitionId(2**64 - 1)
EVERYTHING = KeyRange()

World = MemoryWorld | GrpcWorld


@pytest.fixture(params=["memory", "grpc"])
async def nodes(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    async with world(request.param, PATIENT) as made:
        yield made


@pytest.fixture(params=["memory", "grpc"])
async def hasty_nodes(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    async with world(request.param, HASTY) as made:
        yield made


def entry(after: int = 0, count: int = 1, size: int = 10) -> Entry:
    """`count` writes of epoch 1 behind sequence number `after`."""
    numbers = range(after + 1, after + 1 + count)
    previous = Position(1, after) if after else START
    keys = [b"key-%08d" % number for number in numbers]
    return Entry(previous, 1, after + 1, keys, [encode_record(b"v" * size, number, 5, 0) for number in numbers])


def append(number: int = 1, *entries: Entry) -> Append:
    """To a partition."""
    return Append(PartitionId(number), 1, EVERYTHING, entries or (entry(),))


def seen(groups: list[Append] | tuple[Append, ...]) -> list[tuple[object, ...]]:
    """Appends by what they mean: a sequence is a list here and a tuple there."""
    return [
        (a.partition, a.epoch, a.range, [(e.previous, e.epoch, e.first, [*e.keys], [*e.records]) for e in a.entries])
        for a in groups
    ]


async def failure(call: Awaitable[object]) -> PeerUnreachable:
    with pytest.raises(PeerUnreachable) as caught:
        await call
    return caught.value


async def reached(nodes: World, node: NodeId, number: int = 1) -> Appended:
    """The answer to an append, as soon as there is one."""
    answers: list[Appended] = []

    async def answered() -> bool:
        try:
            answers.extend(await nodes.peers.append(node, [append(number)]))
        except PeerUnreachable:
            return False
        return True

    await eventually(answered)
    return answers[0]


async def test_appends_arrive_as_they_were_sent_and_so_do_their_answers(nodes: World) -> None:
    follower = Recorder()
    await nodes.start(B, follower)
    removal = Entry(Position(2, 7), 3, 8, [b"\0", b"k" * 1024], [encode_removal(8, 5, 0), encode_removal(9, 5, 77)])
    sent = [Append(P, 4, KeyRange(b"", b"m"), [entry(), removal]), Append(Q, 9, KeyRange(b"m"), [])]
    answers = {
        P: Appended(P, accepted=False, position=Position(3, 9), promised=4, rebuilding=True),
        Q: Appended(Q, accepted=True, position=START, promised=2**64 - 1, behind=True),
    }
    follower.answer = lambda append: answers[append.partition]
    assert list(await nodes.peers.append(B, sent)) == [answers[P], answers[Q]]
    assert seen([*follower.groups[0]]) == seen(sent)
    assert list(await nodes.peers.append(B, [])) == []


async def test_appends_arrive_in_the_order_in_which_they_are_sent(nodes: World) -> None:
    follower = Recorder()
    await nodes.start(B, follower)
    await asyncio.gather(*(nodes.peers.append(B, [append(1, entry(number))]) for number in range(100)))
    assert [group[0].entries[0].first for group in follower.groups] == list(range(1, 101))


async def test_a_group_of_any_size_arrives_whole_and_in_order(nodes: World) -> None:
    """1.2 MB entries; one partition with 4 MiB, one with nothing, one with an entry that exceeds a usual message."""
    follower = Recorder()
    await nodes.start(B, follower)
    many = [entry(number * 10, 10, 120_000) for number in range(4)]
    group = [append(1, *many), Append(PartitionId(2), 1, EVERYTHING, ()), append(3, entry(0, 5, 1 << 20))]
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


async def test_a_follower_that_takes_nothing_says_where_it_stands(nodes: World) -> None:
    follower = Recorder()
    await nodes.start(B, follower)
    follower.answer = stands_at(7, 3)
    (answer,) = await nodes.peers.append(B, [append(1, *(entry(n, 1, 1 << 20) for n in range(5)))])
    assert answer == Appended(P, accepted=False, position=Position(7, 3), promised=7)


async def test_beacons_inquiries_farewells_and_digests_arrive_and_are_answered(nodes: World) -> None:
    follower = Recorder()
    await nodes.start(B, follower)
    beacon = Beacon(NodeId("me"), {P: 3, Q: 4}, frozenset([(PartitionId(5), 6)]))
    follower.refused = {Q: 9, P: 0}
    assert await nodes.peers.beacon(B, beacon) == {Q: 9, P: 0}
    assert follower.beacons == [beacon]
    follower.standing = Standing(Position(3, 4), 5, claims=True)
    assert await nodes.peers.inquire(B, P, 8, 7) == follower.standing
    assert follower.inquiries == [(P, 8, 7)]
    await nodes.peers.farewell(B)
    assert follower.farewells == ["me"]
    follower.digest = Digest(b"\xff" * 16, 12)
    assert await nodes.peers.digest(B, P, KeyRange(b"a", b"b")) == follower.digest
    assert await nodes.peers.digest(B, Q, EVERYTHING) == follower.digest
    assert follower.ranges == [(P, KeyRange(b"a", b"b")), (Q, EVERYTHING)]


async def test_a_node_without_a_whole_replica_counts_as_unreachable(nodes: World) -> None:
    await nodes.start(B, Recorder())
    assert not (await failure(nodes.peers.inquire(B, P, 1, 1))).refused
    assert not (await failure(nodes.peers.digest(B, P, EVERYTHING))).refused


async def test_a_copy_of_any_size_arrives_from_its_first_piece_to_its_last(nodes: World) -> None:
    follower = Recorder()
    await nodes.start(B, follower)
    keys, records = [b"%d" % n for n in range(5)], [encode_record(b"v" * (1 << 20), n + 1, 5, 0) for n in range(5)]
    history = History(((1, 1), (4, 3)), 5)
    chunk = Chunk(P, 4, KeyRange(b"", b"x"), keys, records, first=True, history=history)
    await nodes.peers.copy(B, chunk)
    pieces = follower.chunks
    assert [key for piece in pieces for key in piece.keys] == keys
    assert [record for piece in pieces for record in piece.records] == records
    assert [piece.first for piece in pieces] == [True] + [False] * (len(pieces) - 1)
    assert [piece.history for piece in pieces] == [None] * (len(pieces) - 1) + [history]
    assert {(piece.partition, piece.epoch, piece.range) for piece in pieces} == {(P, 4, chunk.range)}
    follower.takes = False
    assert not (await failure(nodes.peers.copy(B, Chunk(P, 4, EVERYTHING, (), (), history=History())))).refused
    assert follower.chunks[-1].history == History()


async def test_a_node_without_an_address_is_unreachable(nodes: World) -> None:
    for call in (nodes.peers.append(C, [append()]), nodes.peers.farewell(C)):
        assert not (await failure(call)).refused


async def test_a_node_that_is_not_up_yet_is_unreachable_and_not_gone(nodes: World) -> None:
    await nodes.start(B, None)
    peers = nodes.peers
    chunk = Chunk(P, 1, EVERYTHING, (), ())
    beacon = Beacon(NodeId("me"), {}, frozenset())
    calls = (peers.append(B, [append()]), peers.beacon(B, beacon), peers.inquire(B, P, 1, 1), peers.copy(B, chunk))
    for call in (*calls, peers.farewell(B), peers.digest(B, P, EVERYTHING)):
        assert not (await failure(call)).refused


async def test_a_node_that_is_gone_refuses(nodes: World) -> None:
    await nodes.start(B, Recorder())
    await nodes.peers.append(B, [append()])
    await nodes.kill(B)
    assert (await failure(nodes.peers.append(B, [append()]))).refused
    assert (await failure(nodes.peers.append(B, [append()]))).refused
    assert (await failure(nodes.peers.farewell(B))).refused


async def test_a_node_that_goes_in_the_middle_of_an_append_breaks_it_at_once(nodes: World) -> None:
    follower = Recorder()
    follower.gates = [asyncio.Event()]
    await nodes.start(B, follower)
    call = asyncio.create_task(nodes.peers.append(B, [append()]))
    await eventually(lambda: follower.groups)
    begun = time.monotonic()
    await nodes.kill(B)
    assert (await failure(call)).refused
    assert time.monotonic() - begun < PATIENT.append / 2


@pytest.mark.parametrize("elsewhere", [False, True])
async def test_a_node_that_comes_back_is_reached_where_it_is_now(nodes: World, elsewhere: bool) -> None:
    await nodes.start(B, Recorder())
    await nodes.peers.append(B, [append()])
    await nodes.kill(B)
    await failure(nodes.peers.append(B, [append()]))
    follower = Recorder()
    await nodes.start(B, follower, elsewhere=elsewhere)
    assert (await reached(nodes, B)).accepted
    await nodes.peers.farewell(B)
    assert follower.farewells == ["me"]


async def test_a_stopped_node_holds_nobody_up_for_long_and_is_not_gone(hasty_nodes: World) -> None:
    nodes, follower = hasty_nodes, Recorder()
    await nodes.start(B, follower)
    await reached(nodes, B)
    nodes.pause(B)
    begun = time.monotonic()
    big = [append(number, entry(0, 4, 1 << 20)) for number in range(1, 9)]
    beacon = Beacon(NodeId("me"), {P: 1}, frozenset())
    errors = await asyncio.gather(
        *map(failure, (nodes.peers.append(B, big), nodes.peers.beacon(B, beacon), nodes.peers.inquire(B, P, 1, 1)))
    )
    assert not any(error.refused for error in errors)
    assert time.monotonic() - begun < HASTY.append + 2
    nodes.resume(B)
    follower.answer = stands_at(5, 5)
    answer = await reached(nodes, B, 2)
    assert (answer.partition, answer.position) == (2, Position(5, 5))


async def test_a_late_answer_is_never_taken_for_that_of_a_newer_request(nodes: World) -> None:
    follower = Recorder()
    follower.gates = [asyncio.Event(), asyncio.Event()]
    await nodes.start(B, follower)
    first = asyncio.create_task(nodes.peers.append(B, [append()]))
    await eventually(lambda: len(follower.groups) == 1)
    first.cancel()
    second = asyncio.create_task(nodes.peers.append(B, [append()]))
    await eventually(lambda: len(follower.groups) == 2)
    follower.answer = stands_at(1, 1)
    follower.gates[0].set()
    await eventually(lambda: follower.answered == 1)
    follower.answer = stands_at(2, 2)
    follower.gates[1].set()
    assert (await second)[0].position == Position(2, 2)


async def test_a_caller_who_goes_away_leaves_the_lane_usable(nodes: World) -> None:
    follower = Recorder()
    follower.gates = [asyncio.Event()]
    await nodes.start(B, follower)
    call = asyncio.create_task(nodes.peers.append(B, [append()]))
    waiting = asyncio.create_task(nodes.peers.append(B, [append(2)]))
    await eventually(lambda: follower.groups)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    follower.gates[0].set()
    assert (await waiting)[0].partition == 2
    assert (await nodes.peers.append(B, [append(3)]))[0].partition == 3


async def test_what_a_caller_left_behind_is_followed_through(nodes: World) -> None:
    follower = Recorder()
    follower.gates = [asyncio.Event()]
    follower.copy_gate.clear()
    await nodes.start(B, follower)
    calls = [
        asyncio.create_task(nodes.peers.append(B, [append()])),
        asyncio.create_task(nodes.peers.copy(B, Chunk(P, 1, EVERYTHING, (), (), first=True))),
    ]
    await eventually(lambda: follower.groups and follower.chunks)
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    await nodes.peers.farewell(B)
    follower.gates[0].set()
    follower.copy_gate.set()
    await eventually(lambda: follower.answered == 1 and follower.copied == 1)


async def test_a_node_that_has_taken_over_anothers_address_does_not_answer_for_it() -> None:
    """Else its answer would count twice, and the other one be held for a replica that has what it was never sent."""
    followers = {B: Recorder(), C: Recorder()}
    async with world("grpc", PATIENT) as nodes:
        assert isinstance(nodes, GrpcWorld)
        for node, follower in followers.items():
            await nodes.start(node, follower)
        nodes.exchange_addresses(B, C)
        chunk = Chunk(P, 1, EVERYTHING, (), (), first=True)
        for call in (
            nodes.peers.append(B, [append()]),
            nodes.peers.beacon(B, Beacon(ME, {P: 1}, frozenset())),
            nodes.peers.inquire(B, P, 1, 1),
            nodes.peers.copy(B, chunk),
            nodes.peers.farewell(B),
            nodes.peers.digest(B, P, EVERYTHING),
        ):
            error = await failure(call)
            assert "this is c, not 'b'" in str(error)
            assert not error.refused, "somebody listens there, so it says nothing about b"
        follower = followers[C]
        assert not (follower.groups or follower.beacons or follower.inquiries or follower.chunks)
        assert not (follower.farewells or follower.ranges)
