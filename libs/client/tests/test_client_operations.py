"""Operations against a server that answers as scripted: coalescing, redirects, what is tried again and how often."""

import asyncio
import time

import grpc
import pytest
from kit.map_entries import map_entry
from kit.scripted import ScriptedServer, found, scripted
from kit.spoiled import holds_once, sees

from dstk.v1 import kv_pb2
from dstk_client import Client, Record, lane
from dstk_client.lane import IN_FLIGHT
from dstk_client.locating import ThickLocator
from dstk_client.retries import AT_ONCE_TRIES, SOON_PAUSE
from dstk_keytypes import InvalidInput, Key, KeyRange, Ttl
from dstk_service.errors import (
    EtagMismatched,
    InvalidArgument,
    NotOwner,
    NotServing,
    Overloaded,
    WriteAmbiguous,
)
from dstk_service.testing import eventually

K = Key.text("k")


async def test_operations_that_wait_together_travel_together(server: ScriptedServer, client: Client) -> None:
    server.gate.clear()
    gets = [asyncio.create_task(client.get(Key.of(number))) for number in range(1000)]
    await asyncio.sleep(0.1)
    assert len(server.messages) <= IN_FLIGHT
    server.gate.set()
    assert await asyncio.gather(*gets) == [None] * 1000
    assert sum(server.messages) == 1000
    assert len(server.messages) <= IN_FLIGHT + 1


async def test_a_lone_operation_is_sent_at_once(server: ScriptedServer, client: Client) -> None:
    for _ in range(3):
        await client.get(K)
    assert server.messages == [1, 1, 1]


async def fills(client: Client) -> "list[asyncio.Task[object]]":
    """As many messages as a lane sends at once, which a server takes whose gate is closed."""
    waiting, _ = client._core._locator.lane(K)
    blocking: list[asyncio.Task[object]] = []
    for number in range(IN_FLIGHT):
        blocking.append(asyncio.create_task(client.get(Key.of(number))))
        await eventually(lambda count=number + 1: len(waiting._in_flight) == count)
    return blocking


async def test_who_gave_up_before_it_was_sent_is_not_sent(server: ScriptedServer, client: Client) -> None:
    server.gate.clear()
    blocking = await fills(client)
    queued = asyncio.create_task(client.put(K, b"v"))
    await asyncio.sleep(0)  # it waits in the lane now
    queued.cancel()
    server.gate.set()
    await asyncio.gather(*blocking)
    await client.get(Key.text("flush"))
    assert server.times(K) == 0


async def test_a_redirect_tries_that_operation_alone_at_its_owner(server: ScriptedServer, client: Client) -> None:
    async with scripted() as other:
        other.script(K, found(b"moved"))
        server.script(K, NotOwner(map_entry(1, b"k", b"l", 2, "storage-2"), other.address))
        answers = await asyncio.gather(client.get(K), *(client.get(Key.of(number)) for number in range(50)))
        assert answers[0] is not None
        assert answers[0].value == b"moved"
        assert server.times(K) == 1
        assert all(server.times(Key.of(number)) == 1 for number in range(50)), "the others stay where they are"
        assert [operation.epoch for operation in other.asked] == [2]
        await client.get(K)
        assert server.times(K) == 1, "what was learned is remembered"


async def test_a_node_that_always_sends_back_is_not_asked_in_a_loop(server: ScriptedServer, client: Client) -> None:
    server.script(K, NotOwner(map_entry(1, epoch=1), server.address))

    async def is_asked_with_pauses(seconds: float) -> None:
        server.asked.clear()
        await sees(NotServing, client.get(K, timeout=seconds))
        assert server.times(K) <= AT_ONCE_TRIES + seconds / (SOON_PAUSE / 2)

    await holds_once(is_asked_with_pauses, (0.5, 0.5, 0.5, 2, 5))


async def test_a_node_that_hangs_holds_nobody_up_once_another_has_taken_over(
    server: ScriptedServer, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane, "STALL_SECONDS", 0.1)
    server.script(K, "hang")
    async with scripted() as other:
        other.script(K, found(b"moved"))
        waiting = [asyncio.create_task(call) for call in (client.get(K), client.put(K, b"v"), client.put(K, b"v"))]
        await eventually(lambda: server.times(K) == 3)
        locator = client._core._locator
        assert isinstance(locator, ThickLocator)
        locator.topology.heal(map_entry(1, epoch=2, primary="storage-2"), other.address)
        read, *written = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 30)
        assert isinstance(read, Record)
        assert read.value == b"moved"
        assert [type(outcome) for outcome in written] == [WriteAmbiguous] * 2
        assert other.times(K) == 1


async def test_a_node_that_is_slow_is_waited_for_while_nobody_else_has_taken_over(
    server: ScriptedServer, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane, "STALL_SECONDS", 0.02)
    server.script(K, found(b"late"))
    server.gate.clear()
    reading = asyncio.create_task(client.get(K))
    done, _ = await asyncio.wait([reading], timeout=0.2)
    assert not done
    server.gate.set()
    record = await reading
    assert record is not None
    assert record.value == b"late"


async def test_an_answer_that_lacks_a_result_ends_the_stream_and_nobody_waits_for_ever(
    server: ScriptedServer, client: Client
) -> None:
    server.script(K, "lose", found(b"there"))
    both = asyncio.gather(client.get(K), client.get(Key.text("other")))
    record, other = await asyncio.wait_for(both, 60)
    assert record is not None
    assert record.value == b"there"
    assert other is None, "it was in the same message"
    server.script(K, "lose")
    with pytest.raises(WriteAmbiguous):
        await client.put(K, b"v")


async def test_of_a_node_that_stops_only_what_it_had_taken_is_ambiguous(server: ScriptedServer, client: Client) -> None:
    later = Key.text("later")
    server.script(K, "hang")
    server.script(later, "leave", found(etag=4))
    taken = asyncio.create_task(client.put(K, b"v"))
    await eventually(lambda: server.times(K) == 1)
    assert await client.put(later, b"v") == 4
    with pytest.raises(WriteAmbiguous):
        await taken


async def test_while_a_node_that_stops_still_answers_nothing_waits_for_it(
    server: ScriptedServer, client: Client
) -> None:
    server.script(K, "hang")
    server.script(Key.text("last"), "leave", found())
    server.ends_streams.clear()
    waiting = asyncio.create_task(client.put(K, b"v", timeout=60))
    await eventually(lambda: server.times(K) == 1)
    asked = asyncio.create_task(client.put(Key.text("last"), b"v", timeout=2))
    with pytest.raises(NotServing, match="is stopping"):
        await asked
    assert not waiting.done()
    server.ends_streams.set()
    with pytest.raises(WriteAmbiguous):
        await waiting


async def test_a_stream_that_is_refused_makes_nothing_ambiguous(server: ScriptedServer, client: Client) -> None:
    server.script(K, found(etag=3))
    server.refused_streams = 3
    assert await client.put(K, b"v", if_absent=True) == 3
    assert server.refused_streams == 0


async def test_a_write_that_was_never_sent_is_known_to_have_done_nothing(
    server: ScriptedServer, client: Client
) -> None:
    server.gate.clear()
    blocking = await fills(client)
    with pytest.raises(NotServing, match="could not be sent"):
        await client.put(K, b"v", timeout=0.1)
    server.gate.set()
    await asyncio.gather(*blocking)
    assert server.times(K) == 0


async def test_a_refusal_that_lasts_is_what_the_caller_hears_at_the_deadline(
    server: ScriptedServer, client: Client
) -> None:
    server.script(K, Overloaded("9 writes wait", 0.05))

    async def hears(seconds: float) -> None:
        server.asked.clear()
        await sees(Overloaded, client.put(K, b"v", timeout=seconds), "9 writes wait")
        assert 2 < server.times(K) < 75 * seconds

    await holds_once(hears, (0.4, 0.4, 0.4, 2, 5))


async def test_pauses_honour_the_delay_that_the_server_asks_for(server: ScriptedServer, client: Client) -> None:
    server.script(K, Overloaded("full", 0.4), found())
    begun = time.monotonic()
    await client.put(K, b"v")
    assert time.monotonic() - begun >= 0.2


async def test_results_carry_what_the_server_said(server: ScriptedServer, client: Client) -> None:
    server.script(K, kv_pb2.OperationResult(value=b"x", etag=9, written_at_ms=5, expires_at_ms=7))
    assert await client.get(K) == Record(K, b"x", 9, 5, 7)
    server.script(K, EtagMismatched(4))
    with pytest.raises(EtagMismatched) as caught:
        await client.put(K, b"v", if_etag=3)
    assert caught.value.current_etag == 4
    server.script(K, kv_pb2.OperationResult(code=grpc.StatusCode.NOT_FOUND.value[0]))
    assert not await client.delete(K)
    server.script(K, kv_pb2.OperationResult(etag=3))
    assert await client.delete(K, if_etag=9)


async def test_what_cannot_be_right_never_reaches_the_server(server: ScriptedServer, client: Client) -> None:
    with pytest.raises(InvalidArgument, match="value"):
        await client.put(K, bytes((1 << 20) + 1))
    with pytest.raises(InvalidArgument, match="if_etag"):
        await client.put(K, b"v", if_etag=0)
    with pytest.raises(InvalidArgument, match="if_absent"):
        await client.put(K, b"v", if_absent=True, if_etag=3)
    with pytest.raises(InvalidInput):
        await client.put(K, b"v", ttl=Ttl(0))
    with pytest.raises(InvalidArgument, match="keys"):
        await client.bulk_insert([])
    with pytest.raises(InvalidArgument, match="limit"):
        await client.scan_page(KeyRange(b"", None), 0)
    assert not server.asked
    assert not server.unary
