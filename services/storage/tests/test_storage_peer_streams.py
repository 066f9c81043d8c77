"""Replication on the real transport: tokens, streams that are slowed down, drained, broken or closed."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

import grpc
import pytest
from kit.appends import BAD_APPENDS, partition_append, sized
from kit.peers import HASTY, ME, PATIENT, SHARED, SHOWN, B, GrpcNodes, real

from dstk.v1 import replication_pb2 as pb
from dstk.v1 import replication_pb2_grpc
from dstk_keytypes import KeyRange, PartitionId
from dstk_service.errors import InvalidArgument, PermissionDenied
from dstk_service.status import from_rpc_error
from dstk_service.testing import eventually
from dstk_service.transport.credentials import SECRET, NodeCredentials
from dstk_service.transport.grpc_connector import GRPC
from dstk_service.transport.port import Profile
from dstk_storage.adapters import peer_lane, peer_parts
from dstk_storage.adapters.peers import GrpcPeers
from dstk_storage.domain.history import History, Position
from dstk_storage.domain.log import Entry
from dstk_storage.domain.replication.ports import Append, PeerUnreachable, SnapshotChunk

P = PartitionId(1)
EVERYTHING = KeyRange()


@asynccontextmanager
async def raw(world: GrpcNodes) -> AsyncIterator[replication_pb2_grpc.ReplicationStub]:
    """Its service without the adapter."""
    async with GRPC.connect(world.address(B) or "", Profile.DEFAULT) as channel:
        yield replication_pb2_grpc.ReplicationStub(channel)


async def test_malformed_calls_end_as_invalid_argument_on_streams_too() -> None:
    async with real() as (world, follower), raw(world) as stub:
        stream = stub.Append(metadata=SHOWN)
        await stream.write(pb.AppendRequest(appends=BAD_APPENDS["long key"]))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stream.read()
        assert isinstance(from_rpc_error(caught.value), InvalidArgument)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Digest(pb.DigestRequest(partition_id=1, start=b"b", end=b"a"), metadata=SHOWN)
        assert isinstance(from_rpc_error(caught.value), InvalidArgument)
        assert not follower.groups
        assert not follower.ranges


@pytest.mark.parametrize("given", [None, "wrong"])
async def test_a_node_with_a_token_takes_nothing_without_it(given: str | None) -> None:
    async with real("secret", given) as (world, follower):
        for call in (world.peers.append(B, [Append(P, 1, EVERYTHING, ())]), world.peers.leave(B)):
            with pytest.raises(PeerUnreachable, match="PERMISSION_DENIED") as caught:
                await call
            assert not caught.value.refused
            cause = caught.value.__cause__
            assert isinstance(cause, grpc.aio.AioRpcError)
            assert isinstance(from_rpc_error(cause), PermissionDenied)
        assert not follower.groups
        assert not follower.leaves


async def test_the_right_token_opens_streams_and_calls() -> None:
    async with real("secret", "secret") as (world, follower):
        await world.peers.append(B, [Append(P, 1, EVERYTHING, ())])
        await world.peers.leave(B)
        assert follower.groups
        assert follower.leaves == [ME]


async def test_who_does_not_show_the_secret_of_the_cluster_is_refused() -> None:
    async with real() as (world, follower), raw(world) as stub:
        for metadata in (
            (),
            ((SECRET, ""),),
            ((SECRET, SHARED + "x"),),
            (("authorization", SHARED),),
        ):
            stream = stub.Append(metadata=metadata)
            with suppress(grpc.aio.AioRpcError):  # refused before the message is sent: reading says why
                await stream.write(pb.AppendRequest(appends=[partition_append()]))
            for call in (stream.read(), stub.Leave(pb.LeaveRequest(sender=ME), metadata=metadata)):
                with pytest.raises(grpc.aio.AioRpcError) as caught:
                    await call
                assert isinstance(from_rpc_error(caught.value), PermissionDenied)
        assert not follower.groups
        assert not follower.leaves


async def test_messages_of_a_stream_are_begun_and_answered_in_order_however_they_end() -> None:
    async with real() as (world, follower), raw(world) as stub:
        follower.gates = [asyncio.Event() for _ in range(3)]
        stream = stub.Append(metadata=SHOWN)
        for number in range(1, 4):
            await stream.write(pb.AppendRequest(id=number, appends=[partition_append(partition_id=number)]))
        await eventually(lambda: len(follower.groups) == 3)
        assert [group[0].partition for group in follower.groups] == [1, 2, 3]
        for at in (2, 1):
            follower.gates[at].set()
        await eventually(lambda: follower.answered == 2)
        reading = asyncio.create_task(stream.read())
        follower.gates[0].set()
        assert (await reading).id == 1
        assert [(await stream.read()).id for _ in range(2)] == [2, 3]
        stream.cancel()


async def test_a_sender_that_does_not_wait_is_slowed_down() -> None:
    async with real() as (world, follower), raw(world) as stub:
        follower.gates = [asyncio.Event() for _ in range(40)]
        stream = stub.Append(metadata=SHOWN)
        for number in range(40):
            await stream.write(pb.AppendRequest(id=number))
        await eventually(lambda: len(follower.groups) == 17)
        for gate in follower.gates:
            gate.set()
        assert [(await stream.read()).id for _ in range(40)] == list(range(40))
        stream.cancel()


async def test_a_drain_ends_streams_at_once_when_what_was_begun_is_answered(caplog: pytest.LogCaptureFixture) -> None:
    async with real() as (world, follower), raw(world) as stub:
        idle, busy = stub.Append(metadata=SHOWN), stub.Append(metadata=SHOWN)
        await idle.write(pb.AppendRequest(id=1))
        await idle.read()
        follower.gates = [asyncio.Event(), asyncio.Event()]
        await busy.write(pb.AppendRequest(id=2, appends=[partition_append()]))
        await eventually(lambda: len(follower.groups) == 2)
        begun = time.monotonic()
        stopping = asyncio.create_task(world.servers[B].stop(60))
        assert await idle.read() is grpc.aio.EOF
        follower.gates[1].set()
        assert (await busy.read()).id == 2
        assert await busy.read() is grpc.aio.EOF
        await stopping
        assert time.monotonic() - begun < 60, "it does not wait for the time that streams have"
    assert not caplog.records


async def test_a_stream_that_the_node_ended_in_peace_is_opened_again() -> None:
    async with real() as (world, follower):
        await world.peers.append(B, [Append(P, 1, EVERYTHING, ())])
        drain = world.servers[B].drain
        stream = world.peers._links[B].lane._stream
        assert stream is not None
        drain.begin()
        await eventually(stream.call.done)
        drain.begun = False
        await world.peers.append(B, [Append(P, 1, EVERYTHING, ())])
        assert len(follower.groups) == 2


async def test_a_group_that_fails_half_way_leaves_no_answers_for_the_next_one() -> None:
    async with real() as (world, follower):
        too_large = Append(PartitionId(2), 1, EVERYTHING, sized(peer_parts.MAX_ENTRY_BYTES))
        with pytest.raises(PeerUnreachable, match="cannot be sent"):
            await world.peers.append(B, [Append(P, 1, EVERYTHING, sized(1 << 20, 1 << 20, 1 << 20)), too_large])
        (answer,) = await world.peers.append(B, [Append(PartitionId(3), 1, EVERYTHING, ())])
        assert answer.partition == 3
        assert follower.groups


async def test_a_copy_that_takes_too_long_fails_and_leaves_its_node_within_reach() -> None:
    async with real(timeouts=replace(PATIENT, snapshot=HASTY.snapshot)) as (world, follower):
        follower.copy_gate.clear()
        with pytest.raises(PeerUnreachable, match="DEADLINE_EXCEEDED"):
            await world.peers.install_snapshot(B, SnapshotChunk(P, 1, EVERYTHING, (), (), first=True))
        follower.copy_gate.set()
        await world.peers.leave(B)


async def test_closing_fails_what_is_under_way_as_unreachable() -> None:
    async with real() as (world, follower):
        follower.gates = [asyncio.Event()]
        follower.copy_gate.clear()
        calls = [
            asyncio.create_task(world.peers.append(B, [Append(P, 1, EVERYTHING, ())])),
            asyncio.create_task(world.peers.append(B, [Append(P, 1, EVERYTHING, ())])),
            asyncio.create_task(
                world.peers.install_snapshot(B, SnapshotChunk(P, 1, EVERYTHING, (), (), history=History()))
            ),
        ]
        await eventually(lambda: follower.groups and follower.chunks)
        await world.peers.close()
        for outcome in await asyncio.gather(*calls, return_exceptions=True):
            assert isinstance(outcome, PeerUnreachable)


async def test_streams_that_break_leave_no_errors_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async with real() as (world, follower):
        follower.gates = [asyncio.Event() for _ in range(10)]
        senders = [GrpcPeers(ME, world.address, NodeCredentials(None, SHARED), PATIENT) for _ in range(10)]
        calls = [asyncio.create_task(each.append(B, [Append(P, 1, EVERYTHING, ())])) for each in senders]
        await eventually(lambda: len(follower.groups) == 10)
        for call in calls[:5]:
            call.cancel()
        for gate in follower.gates:
            gate.set()
        await asyncio.gather(*calls, return_exceptions=True)
        await asyncio.gather(*(each.close() for each in senders))
    assert not caplog.records


@pytest.mark.parametrize("damage", [{"epoch": -1}, {"first": 1 << 64}, {"keys": ["text"]}, {"records": [None]}])
async def test_what_cannot_be_encoded_fails_alone_and_harms_no_other_group(damage: dict[str, Any]) -> None:
    async with real() as (world, follower):
        await world.peers.append(B, [Append(P, 1, EVERYTHING, ())])
        stream = world.peers._links[B].lane._stream
        follower.gates = [asyncio.Event()]
        waiting = asyncio.create_task(world.peers.append(B, [Append(P, 1, EVERYTHING, ())]))
        await eventually(lambda: len(follower.groups) == 2)
        good = Entry(Position(1, 0), 1, 1, [b"k"], [b"r"])
        with pytest.raises((TypeError, ValueError)):
            await world.peers.append(B, [Append(P, 1, EVERYTHING, (replace(good, **damage),))])
        follower.gates[0].set()
        assert len(await waiting) == 1
        assert world.peers._links[B].lane._stream is stream
        assert len(follower.groups) == 2, "nothing of it was sent"


async def test_an_answer_that_cannot_be_read_is_logged_and_fails_those_who_wait(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with real() as (world, _):

        def fails(message: pb.PartitionAppended) -> Any:
            raise ZeroDivisionError("a defect")

        with monkeypatch.context() as patched:
            patched.setattr(peer_lane.wire, "read_appended", fails)
            begun = time.monotonic()
            with pytest.raises(PeerUnreachable):
                await world.peers.append(B, [Append(P, 1, EVERYTHING, ())])
            assert time.monotonic() - begun < PATIENT.append / 2, "nobody waits for the stall"
        assert "ZeroDivisionError" in caplog.text
        assert len(await world.peers.append(B, [Append(P, 1, EVERYTHING, ())])) == 1
