"""What replication relies on when nodes or callers go away: one suite for the twin in memory and for real gRPC."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from kit.appends import append, entry_after
from kit.peers import HASTY, ME, PATIENT, FakeNodes, GrpcNodes, Recorder, failure, fake_nodes, stands_at

from dstk_keytypes import KeyRange, NodeId, PartitionId
from dstk_service.testing import eventually
from dstk_storage.domain.history import Position
from dstk_storage.domain.replication.heartbeats import Claim, Heartbeat
from dstk_storage.domain.replication.ports import Appended, PeerUnreachable, SnapshotChunk

B, C = NodeId("b"), NodeId("c")
P = PartitionId(1)
EVERYTHING = KeyRange()


@pytest.fixture(params=["memory", "grpc"])
async def hasty_nodes(request: pytest.FixtureRequest) -> AsyncIterator[FakeNodes]:
    async with fake_nodes(request.param, HASTY) as made:
        yield made


async def reached(nodes: FakeNodes, node: NodeId, number: int = 1) -> Appended:
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


async def test_a_node_without_an_address_is_unreachable(nodes: FakeNodes) -> None:
    for call in (nodes.peers.append(C, [append()]), nodes.peers.leave(C)):
        assert not (await failure(call)).refused


async def test_a_node_that_is_not_up_yet_is_unreachable_and_not_gone(nodes: FakeNodes) -> None:
    await nodes.start(B, None)
    peers = nodes.peers
    chunk = SnapshotChunk(P, 1, EVERYTHING, (), ())
    heartbeat = Heartbeat(NodeId("me"), 1, 0, 1)
    votes, snapshot = peers.request_vote(B, P, 1, 1), peers.install_snapshot(B, chunk)
    calls = (peers.append(B, [append()]), peers.heartbeat(B, heartbeat), votes, snapshot)
    for call in (*calls, peers.leave(B), peers.digest(B, P, EVERYTHING)):
        assert not (await failure(call)).refused


async def test_a_node_that_is_gone_refuses(nodes: FakeNodes) -> None:
    await nodes.start(B, Recorder())
    await nodes.peers.append(B, [append()])
    await nodes.kill(B)
    assert (await failure(nodes.peers.append(B, [append()]))).refused
    assert (await failure(nodes.peers.append(B, [append()]))).refused
    assert (await failure(nodes.peers.leave(B))).refused


async def test_a_node_that_goes_in_the_middle_of_an_append_breaks_it_at_once(nodes: FakeNodes) -> None:
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
async def test_a_node_that_comes_back_is_reached_where_it_is_now(nodes: FakeNodes, elsewhere: bool) -> None:
    await nodes.start(B, Recorder())
    await nodes.peers.append(B, [append()])
    await nodes.kill(B)
    await failure(nodes.peers.append(B, [append()]))
    follower = Recorder()
    await nodes.start(B, follower, elsewhere=elsewhere)
    assert (await reached(nodes, B)).accepted
    await nodes.peers.leave(B)
    assert follower.leaves == ["me"]


async def test_a_stopped_node_holds_nobody_up_for_long_and_is_not_gone(hasty_nodes: FakeNodes) -> None:
    nodes, follower = hasty_nodes, Recorder()
    await nodes.start(B, follower)
    await reached(nodes, B)
    nodes.pause(B)
    begun = time.monotonic()
    big = [append(number, entry_after(0, 4, 1 << 20)) for number in range(1, 9)]
    heartbeat = Heartbeat(NodeId("me"), 1, 0, 1, {P: Claim(1, leads=True)})
    errors = await asyncio.gather(
        *map(
            failure,
            (nodes.peers.append(B, big), nodes.peers.heartbeat(B, heartbeat), nodes.peers.request_vote(B, P, 1, 1)),
        )
    )
    assert not any(error.refused for error in errors)
    assert time.monotonic() - begun < PATIENT.append / 2
    nodes.resume(B)
    follower.answer = stands_at(5, 5)
    answer = await reached(nodes, B, 2)
    assert (answer.partition, answer.position) == (2, Position(5, 5))


async def test_a_late_answer_is_never_taken_for_that_of_a_newer_request(nodes: FakeNodes) -> None:
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


async def test_a_caller_who_goes_away_leaves_the_lane_usable(nodes: FakeNodes) -> None:
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


async def test_what_a_caller_left_behind_is_followed_through(nodes: FakeNodes) -> None:
    follower = Recorder()
    follower.gates = [asyncio.Event()]
    follower.copy_gate.clear()
    await nodes.start(B, follower)
    calls = [
        asyncio.create_task(nodes.peers.append(B, [append()])),
        asyncio.create_task(nodes.peers.install_snapshot(B, SnapshotChunk(P, 1, EVERYTHING, (), (), first=True))),
    ]
    await eventually(lambda: follower.groups and follower.chunks)
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    await nodes.peers.leave(B)
    follower.gates[0].set()
    follower.copy_gate.set()
    await eventually(lambda: follower.answered == 1 and follower.copied == 1)


async def test_a_node_that_has_taken_over_anothers_address_does_not_answer_for_it() -> None:
    """Else its answer would count twice, and the other one be held for a replica that has what it was never sent."""
    followers = {B: Recorder(), C: Recorder()}
    async with fake_nodes("grpc", PATIENT) as nodes:
        assert isinstance(nodes, GrpcNodes)
        for node, follower in followers.items():
            await nodes.start(node, follower)
        nodes.exchange_addresses(B, C)
        chunk = SnapshotChunk(P, 1, EVERYTHING, (), (), first=True)
        for call in (
            nodes.peers.append(B, [append()]),
            nodes.peers.heartbeat(B, Heartbeat(ME, 1, 0, 1, {P: Claim(1, leads=True)})),
            nodes.peers.request_vote(B, P, 1, 1),
            nodes.peers.install_snapshot(B, chunk),
            nodes.peers.leave(B),
            nodes.peers.digest(B, P, EVERYTHING),
        ):
            error = await failure(call)
            assert "this is c, not 'b'" in str(error)
            assert not error.refused, "somebody listens there, so it says nothing about b"
        follower = followers[C]
        assert not (follower.groups or follower.heartbeats or follower.vote_requests or follower.chunks)
        assert not (follower.leaves or follower.ranges)
