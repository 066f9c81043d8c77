"""Replication's messages: what is cut and joined, what is refused, and what only the real transport can do."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import grpc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kit.peers import HASTY, ME, PATIENT, GrpcWorld, Recorder
from kit.ports import free_port

from dstk.v1 import replication_pb2 as pb
from dstk.v1 import replication_pb2_grpc
from dstk_keytypes import InvalidInput, KeyRange, NodeId, PartitionId
from dstk_keytypes.limits import MAX_MESSAGE_BYTES
from dstk_service.errors import InvalidArgument, PermissionDenied
from dstk_service.status import from_rpc_error
from dstk_service.testing import eventually
from dstk_storage.adapters import peer_parts, peer_wire
from dstk_storage.adapters.peer_probe import is_gone
from dstk_storage.adapters.peers import GrpcPeers, PeerTimeouts
from dstk_storage.domain.history import START, History, Position
from dstk_storage.domain.replication.ports import Append, Appended, Chunk, PeerUnreachable
from dstk_storage.domain.replication.ring import Entry

B = NodeId("b")
P = PartitionId(1)
EVERYTHING = KeyRange()


def sized(*sizes: int) -> list[Entry]:
    """Entries of one record each, of so many bytes."""
    return [Entry(Position(1, n) if n else START, 1, n + 1, [b"k"], [bytes(size)]) for n, size in enumerate(sizes)]


def request_of(parts: list[peer_parts.Part]) -> pb.AppendRequest:
    request = pb.AppendRequest()
    for part in parts:
        peer_wire.write_append(request.appends.add(), part.append, part.entries)
    return request


sizes = st.lists(st.sampled_from([18, 1000, 300_000, 1 << 20, 3 << 20]), max_size=6)


@settings(max_examples=30)
@given(st.lists(sizes, max_size=5))
def test_messages_are_small_keep_the_order_and_have_one_part_of_a_partition(groups: list[list[int]]) -> None:
    group = [Append(PartitionId(n + 1), 1, EVERYTHING, sized(*each)) for n, each in enumerate(groups)]
    messages = list(peer_parts.messages(group))
    for parts in messages:
        places = [part.place for part in parts]
        assert places == sorted(set(places))
        single = len(parts) == 1 and len(parts[0].entries) == 1
        assert request_of(parts).ByteSize() <= (MAX_MESSAGE_BYTES if single else peer_parts.PART_BYTES)
    parts = [part for message in messages for part in message]
    for place, append in enumerate(group):
        mine = [part for part in parts if part.place == place]
        assert mine
        assert [entry for part in mine for entry in part.entries] == append.entries


def test_the_largest_entry_fits_into_a_message_whatever_its_records_and_a_larger_one_is_refused() -> None:
    many = 500_000
    fits = (peer_parts.MAX_ENTRY_BYTES - 64) // many - 16
    entry = Entry(START, 2**64 - 1, 1, [b"k"] * many, [bytes(fits - 1)] * many)
    bounds = KeyRange(b"a" * 1024, b"b" * 1024)
    (parts,) = peer_parts.messages([Append(PartitionId(2**64 - 1), 2**64 - 1, bounds, [entry])])
    assert request_of(parts).ByteSize() <= MAX_MESSAGE_BYTES
    with pytest.raises(PeerUnreachable, match="cannot be sent"):
        list(peer_parts.messages([Append(P, 1, EVERYTHING, sized(peer_parts.MAX_ENTRY_BYTES))]))


def test_an_append_is_accepted_when_all_its_parts_were() -> None:
    yes, no = (Appended(P, accepted, Position(1, 1), 1) for accepted in (True, False))
    last = Appended(P, accepted=True, position=Position(1, 2), promised=3)
    assert peer_parts.joined(None, last) == last
    assert peer_parts.joined(yes, last) == last
    assert peer_parts.joined(no, last) == Appended(P, accepted=False, position=Position(1, 2), promised=3)


def log_entry(**changes: object) -> pb.LogEntry:
    usual = {
        "previous": pb.Position(epoch=1, sequence=1),
        "epoch": 1,
        "first": 2,
        "keys": [b"k"],
        "records": [bytes(18)],
    }
    return pb.LogEntry(**(usual | changes))  # type: ignore[arg-type]


def partition_append(**changes: object) -> pb.PartitionAppend:
    usual = {"partition_id": 1, "epoch": 1, "entries": [log_entry()]}
    return pb.PartitionAppend(**(usual | changes))  # type: ignore[arg-type]


BAD_APPENDS = {
    "no id": [partition_append(partition_id=0)],
    "start above end": [partition_append(start=b"b", end=b"a")],
    "long bound": [partition_append(start=b"b" * 1025)],
    "twice": [partition_append(), partition_append()],
    "no keys": [partition_append(entries=[log_entry(keys=[], records=[])])],
    "a record too few": [partition_append(entries=[log_entry(keys=[b"k", b"l"])])],
    "empty key": [partition_append(entries=[log_entry(keys=[b""])])],
    "long key": [partition_append(entries=[log_entry(keys=[bytes(1025)])])],
    "no header": [partition_append(entries=[log_entry(records=[bytes(17)])])],
    "long record": [partition_append(entries=[log_entry(records=[bytes((1 << 20) + 27)])])],
    "no epoch": [partition_append(entries=[log_entry(epoch=0)])],
    "epoch goes back": [partition_append(entries=[log_entry(previous=pb.Position(epoch=2, sequence=1))])],
    "number goes back": [partition_append(entries=[log_entry(first=1)])],
}


@pytest.mark.parametrize("appends", BAD_APPENDS.values(), ids=BAD_APPENDS.keys())
def test_malformed_appends_are_refused(appends: list[pb.PartitionAppend]) -> None:
    with pytest.raises((InvalidArgument, InvalidInput)):
        peer_wire.read_appends(pb.AppendRequest(appends=appends))


BAD_COPIES = {
    "below": {"start": b"b", "keys": [b"c", b"a", b"b"], "records": [bytes(18)] * 3},
    "above": {"end": b"b", "keys": [b"a", b"b", b"a"], "records": [bytes(18)] * 3},
    "a key too few": {"keys": [b"b"], "records": [bytes(18)] * 2},
    "epochs descend": {"history": pb.LogHistory(eras=[pb.Era(epoch=2, first=1), pb.Era(epoch=1, first=5)], last=9)},
    "ends early": {"history": pb.LogHistory(eras=[pb.Era(epoch=2, first=3)], last=2)},
}


def test_a_copy_carries_entries_in_the_order_of_their_writes() -> None:
    keys, records = [b"b", b"a", b"b"], [bytes(18), bytes(19), bytes(20)]
    chunk = Chunk(P, 1, EVERYTHING, keys, records)
    assert peer_wire.read_chunk(peer_wire.copy_request(chunk)) == chunk


@pytest.mark.parametrize("fields", BAD_COPIES.values(), ids=BAD_COPIES.keys())
def test_malformed_copies_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises((InvalidArgument, InvalidInput)):
        peer_wire.read_chunk(pb.CopyRequest(partition_id=1, epoch=1, **fields))  # type: ignore[arg-type]


@asynccontextmanager
async def real(
    token: str | None = None, given: str | None = None, timeouts: PeerTimeouts = PATIENT
) -> AsyncIterator[tuple[GrpcWorld, Recorder]]:
    """One node behind real gRPC."""
    world, follower = GrpcWorld(timeouts, token, given), Recorder()
    await world.start(B, follower)
    try:
        yield world, follower
    finally:
        await world.close()


@asynccontextmanager
async def raw(world: GrpcWorld) -> AsyncIterator[replication_pb2_grpc.ReplicationStub]:
    """Its service without the adapter."""
    async with grpc.aio.insecure_channel(world.address(B) or "") as channel:
        yield replication_pb2_grpc.ReplicationStub(channel)


async def test_malformed_calls_end_as_invalid_argument_on_streams_too() -> None:
    async with real() as (world, follower), raw(world) as stub:
        stream = stub.Append()
        await stream.write(pb.AppendRequest(appends=BAD_APPENDS["long key"]))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stream.read()
        assert isinstance(from_rpc_error(caught.value), InvalidArgument)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Digest(pb.DigestRequest(partition_id=1, start=b"b", end=b"a"))
        assert isinstance(from_rpc_error(caught.value), InvalidArgument)
        assert not follower.groups
        assert not follower.ranges


@pytest.mark.parametrize("given", [None, "wrong"])
async def test_a_node_with_a_token_takes_nothing_without_it(given: str | None) -> None:
    async with real("secret", given) as (world, follower):
        for call in (world.peers.append(B, [Append(P, 1, EVERYTHING, ())]), world.peers.farewell(B)):
            with pytest.raises(PeerUnreachable, match="PERMISSION_DENIED") as caught:
                await call
            assert not caught.value.refused
            assert isinstance(from_rpc_error(caught.value.__cause__), PermissionDenied)  # type: ignore[arg-type]
        assert not follower.groups
        assert not follower.farewells


async def test_the_right_token_opens_streams_and_calls() -> None:
    async with real("secret", "secret") as (world, follower):
        await world.peers.append(B, [Append(P, 1, EVERYTHING, ())])
        await world.peers.farewell(B)
        assert follower.groups
        assert follower.farewells == [ME]


async def test_messages_of_a_stream_are_begun_and_answered_in_order_however_they_end() -> None:
    async with real() as (world, follower), raw(world) as stub:
        follower.gates = [asyncio.Event() for _ in range(3)]
        stream = stub.Append()
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
        stream = stub.Append()
        for number in range(40):
            await stream.write(pb.AppendRequest(id=number))
        await eventually(lambda: len(follower.groups) == 17)
        for gate in follower.gates:
            gate.set()
        assert [(await stream.read()).id for _ in range(40)] == list(range(40))
        stream.cancel()


async def test_a_drain_ends_streams_at_once_when_what_was_begun_is_answered(caplog: pytest.LogCaptureFixture) -> None:
    async with real() as (world, follower), raw(world) as stub:
        idle, busy = stub.Append(), stub.Append()
        await idle.write(pb.AppendRequest(id=1))
        await idle.read()
        follower.gates = [asyncio.Event(), asyncio.Event()]
        await busy.write(pb.AppendRequest(id=2, appends=[partition_append()]))
        await eventually(lambda: len(follower.groups) == 2)
        begun = time.monotonic()
        stopping = asyncio.create_task(world.servers[B].stop(20))
        assert await idle.read() is grpc.aio.EOF
        follower.gates[1].set()
        assert (await busy.read()).id == 2
        assert await busy.read() is grpc.aio.EOF
        await stopping
        assert time.monotonic() - begun < 5
    assert not caplog.records


async def test_a_stream_that_the_node_ended_in_peace_is_opened_anew() -> None:
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
    async with real(timeouts=replace(PATIENT, copy=HASTY.copy)) as (world, follower):
        follower.copy_gate.clear()
        with pytest.raises(PeerUnreachable, match="DEADLINE_EXCEEDED"):
            await world.peers.copy(B, Chunk(P, 1, EVERYTHING, (), (), first=True))
        follower.copy_gate.set()
        await world.peers.farewell(B)


async def test_closing_fails_what_is_under_way_as_unreachable() -> None:
    async with real() as (world, follower):
        follower.gates = [asyncio.Event()]
        follower.copy_gate.clear()
        calls = [
            asyncio.create_task(world.peers.append(B, [Append(P, 1, EVERYTHING, ())])),
            asyncio.create_task(world.peers.append(B, [Append(P, 1, EVERYTHING, ())])),
            asyncio.create_task(world.peers.copy(B, Chunk(P, 1, EVERYTHING, (), (), history=History()))),
        ]
        await eventually(lambda: follower.groups and follower.chunks)
        await world.peers.close()
        for outcome in await asyncio.gather(*calls, return_exceptions=True):
            assert isinstance(outcome, PeerUnreachable)


async def test_streams_that_break_leave_no_errors_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async with real() as (world, follower):
        follower.gates = [asyncio.Event() for _ in range(10)]
        senders = [GrpcPeers(ME, world.address, None, PATIENT) for _ in range(10)]
        calls = [asyncio.create_task(each.append(B, [Append(P, 1, EVERYTHING, ())])) for each in senders]
        await eventually(lambda: len(follower.groups) == 10)
        for call in calls[:5]:
            call.cancel()
        for gate in follower.gates:
            gate.set()
        await asyncio.gather(*calls, return_exceptions=True)
        await asyncio.gather(*(each.close() for each in senders))
    assert not caplog.records


async def answering(reply: bytes | None) -> tuple[str, asyncio.Server]:
    """A listener that says `reply` and ends, or (None) accepts and says nothing."""

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if reply is None:
            await reader.read()
        else:
            writer.write(reply)
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    return f"127.0.0.1:{server.sockets[0].getsockname()[1]}", server


@pytest.mark.parametrize(("reply", "gone"), [(b"x", False), (None, False), (b"", True)])
async def test_a_process_is_gone_when_it_ends_connections_without_a_word(reply: bytes | None, gone: bool) -> None:
    address, server = await answering(reply)
    assert await is_gone(address) == gone
    server.close()


async def test_a_process_is_gone_when_its_machine_refuses_and_only_then() -> None:
    assert await is_gone(f"127.0.0.1:{free_port()}")
    assert await is_gone(f"localhost:{free_port()}")
    assert not await is_gone("nobody")
    with socket.create_server(("127.0.0.1", 0)) as stopped:
        assert not await is_gone(f"127.0.0.1:{stopped.getsockname()[1]}")
    async with real() as (world, _):
        assert not await is_gone(world.address(B) or "")
