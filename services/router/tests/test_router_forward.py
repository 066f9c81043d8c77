"""Operations through the router to nodes that answer as scripted: what it tries again itself, and for how long."""

import time
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from google.rpc import status_pb2
from kit.map_entries import map_entry
from kit.ports import free_port
from kit.routing import routing
from kit.scripted import ScriptedServer, found, scripted
from kit.spoiled import holds_once

from dstk.v1 import kv_pb2, kv_pb2_grpc, topology_pb2
from dstk_client import Client, connect
from dstk_client.events import AttemptRetried
from dstk_keytypes import Key
from dstk_router import forward
from dstk_service.errors import NotOwner, NotServing, WriteAmbiguous
from dstk_service.outcomes import OutcomeClass
from dstk_service.rpc_events import OperationKind, OperationsEnded, RpcEnded
from dstk_service.status import from_status
from dstk_service.testing import PATIENCE_SECONDS, RecordingObserver, eventually
from dstk_service.transport.grpc_connector import GRPC
from dstk_service.transport.port import Profile

A, Z = Key.text("a"), Key.text("z")


@pytest.fixture
async def lower() -> AsyncIterator[ScriptedServer]:
    async with scripted() as server:
        yield server


@pytest.fixture
async def upper() -> AsyncIterator[ScriptedServer]:
    async with scripted() as server:
        server.script(Z, found(b"there"))
        yield server


def two(lower: str, upper: str) -> topology_pb2.TopologyUpdate:
    """The map that gives one node the keys below "m", and the other the rest."""
    return topology_pb2.TopologyUpdate(
        revision=1,
        full=True,
        partitions=[map_entry(1, end=b"m", primary="lower"), map_entry(2, start=b"m", primary="upper")],
        nodes=[topology_pb2.Node(id="lower", address=lower), topology_pb2.Node(id="upper", address=upper)],
    )


@pytest.fixture
async def router(lower: ScriptedServer, upper: ScriptedServer) -> AsyncIterator[str]:
    async with routing(two(lower.address, upper.address)) as address:
        yield address


async def message(router: str, *operations: kv_pb2.Operation) -> list[kv_pb2.OperationResult]:
    """What one Execute message is answered."""
    async with GRPC.connect(router, Profile.DEFAULT) as channel:
        call: Any = kv_pb2_grpc.KeyValueStub(channel).Execute()
        await call.write(kv_pb2.ExecuteRequest(id=1, operations=operations))
        response = await call.read()
        await call.done_writing()
        assert await call.read() is grpc.aio.EOF
        return list(response.results)


def get(key: bytes) -> kv_pb2.Operation:
    return kv_pb2.Operation(kind=kv_pb2.OPERATION_KIND_GET, key=key)


MOMENT_SECONDS = 1.0


async def refused_in_a_moment(router: str) -> NotServing:
    """Asks for both keys, and returns what the answer says of A's partition, which is not served."""
    begun = time.monotonic()
    refused, answered = await message(router, get(A), get(Z))
    assert time.monotonic() - begun < MOMENT_SECONDS
    assert answered.value == b"there"
    error = from_status(status_pb2.Status.FromString(refused.status))
    assert isinstance(error, NotServing)
    return error


async def test_a_partition_that_is_not_served_holds_the_others_in_a_message_up_for_a_moment_only(
    router: str, lower: ScriptedServer
) -> None:
    lower.script(A, NotServing("an election is under way", 0.0))

    async def holds_up(_: int) -> None:
        lower.asked.clear()
        await refused_in_a_moment(router)
        assert lower.times(A) > 1

    await holds_once(holds_up, range(5))


async def test_a_node_that_is_gone_holds_the_others_in_a_message_up_for_a_moment_only(upper: ScriptedServer) -> None:
    async def holds_up(router: str) -> None:
        assert (await refused_in_a_moment(router)).retry_after > 0

    async with routing(two(f"127.0.0.1:{free_port()}", upper.address)) as router:
        await holds_once(holds_up, [router] * 5)


async def test_a_refusal_that_does_not_last_is_not_passed_on(
    router: str, lower: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forward, "HOLD_SECONDS", PATIENCE_SECONDS)
    lower.script(A, NotServing("a handover is under way", 0.0), found(b"again"))
    answered, _ = await message(router, get(A), get(Z))
    assert answered.value == b"again"


async def test_the_gateway_client_goes_on_where_the_router_passes_a_refusal_on(
    router: str, lower: ScriptedServer
) -> None:
    lower.script(A, *[NotServing("an election is under way", 0.0)] * 8, found(b"v", etag=7))
    async with connect(router, mode="gateway", timeout=60) as client:
        assert await client.put(A, b"v") == 7


async def test_a_unary_call_is_tried_again_until_its_deadline(router: str, lower: ScriptedServer) -> None:
    lower.script(A, *[NotServing("an election is under way", 0.0)] * 8, found(b"late"))
    async with GRPC.connect(router, Profile.DEFAULT) as channel:
        answer = await kv_pb2_grpc.KeyValueStub(channel).Get(kv_pb2.GetRequest(key=A), timeout=60)
    assert answer.record.value == b"late"


async def test_a_write_whose_outcome_is_unknown_is_said_to_be_ambiguous_once(
    router: str, lower: ScriptedServer
) -> None:
    lower.script(A, "break")
    client: Client
    async with connect(router, mode="gateway", timeout=60) as client:
        with pytest.raises(WriteAmbiguous) as caught:
            await client.put(A, b"v")
    assert str(caught.value).count("may or may not") == 1


async def test_what_became_of_the_operations_of_a_message_is_told_and_how_its_stream_ended(
    lower: ScriptedServer, upper: ScriptedServer
) -> None:
    lower.script(A, *[NotServing("an election is under way", 0.0)] * 50)
    observer = RecordingObserver()
    put = kv_pb2.Operation(kind=kv_pb2.OPERATION_KIND_PUT, key=Z, value=b"v", ttl_ms=-1)
    async with routing(two(lower.address, upper.address), observer) as router:
        results = await message(router, get(A), get(Z), put)
        await eventually(lambda: len(observer.of(RpcEnded)) == 1)
    (message_ended,), (call,) = observer.of(OperationsEnded), observer.of(RpcEnded)
    assert len(results) == 3
    assert (message_ended.gets, message_ended.puts, message_ended.deletes) == (2, 1, 0)
    assert message_ended.failed == {
        (OperationKind.GET, OutcomeClass.REFUSED): 1,
        (OperationKind.PUT, OutcomeClass.CLIENT): 1,
    }
    assert message_ended.seconds > 0.05
    assert (call.method, call.code, call.streaming) == ("Execute", "OK", True)


async def test_retries_and_redirects_are_told_with_their_reasons(
    lower: ScriptedServer, upper: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forward, "HOLD_SECONDS", PATIENCE_SECONDS)
    moved = NotOwner(map_entry(1, end=b"m", primary="upper", epoch=9), upper.address)
    lower.script(A, NotServing("a handover is under way", 0.0), moved)
    upper.script(A, found(b"there"))
    observer = RecordingObserver()
    async with routing(two(lower.address, upper.address), observer) as router:
        answered, _ = await message(router, get(A), get(Z))
    assert answered.value == b"there"
    first, redirect = observer.of(AttemptRetried)
    assert (first.reason, redirect.reason) == ("NOT_SERVING", "NOT_OWNER")
    assert 0 < first.pause < 0.1
