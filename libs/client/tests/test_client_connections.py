"""To what a client connects, what it says where nothing is, and what becomes of its calls when it is closed."""

import asyncio

import pytest
from kit.map_entries import map_entry
from kit.ports import free_port
from kit.scripted import ScriptedServer, found
from kit.spoiled import holds_once, sees

from dstk.v1 import kv_pb2
from dstk_client import BulkResult, ClientClosed, connect
from dstk_keytypes import Key, KeyRange
from dstk_service.errors import NotServing, WriteAmbiguous
from dstk_service.testing import eventually

K = Key.text("k")


async def test_nothing_listening_is_not_serving_and_never_ambiguous(server: ScriptedServer) -> None:
    server.owns(map_entry(1), nodes={"storage-1": f"127.0.0.1:{free_port()}"})
    async with connect(server.address, timeout=60) as client:

        async def is_not_serving(seconds: float) -> None:
            for call in (client.get(K, timeout=seconds), client.put(K, b"v", timeout=seconds)):
                await sees(NotServing, call)

        await holds_once(is_not_serving, (0.5, 5, 20))


async def test_a_gateway_client_goes_on_with_the_next_router(server: ScriptedServer) -> None:
    server.script(K, found(b"there"))
    async with connect(f"127.0.0.1:{free_port()}", server.address, mode="gateway", timeout=60) as client:
        record = await client.get(K)
    assert record is not None
    assert record.value == b"there"


async def test_a_gateway_client_tells_the_router_its_deadline(server: ScriptedServer) -> None:
    async with connect(server.address, mode="gateway", timeout=60) as client:
        await client.get(K, timeout=50)
    assert 20_000 < server.asked[0].timeout_ms <= 50_000
    assert server.asked[0].epoch == 0


async def test_no_map_is_an_error_that_says_what_to_check() -> None:
    with pytest.raises(NotServing, match="is the cluster up"):
        async with connect(f"127.0.0.1:{free_port()}", timeout=0.3):
            raise AssertionError("unreachable")


async def test_no_address_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one to connect to"):
        async with connect():
            raise AssertionError("unreachable")


async def test_closing_the_client_fails_what_waits(server: ScriptedServer) -> None:
    server.gate.clear()
    async with connect(server.address, timeout=60) as client:
        waiting = asyncio.create_task(client.put(K, b"v"))
        reading = asyncio.create_task(client.get(K))
        await eventually(lambda: server.messages == [2])
    with pytest.raises(WriteAmbiguous, match="closed"):
        await waiting
    with pytest.raises(ClientClosed):
        await reading


@pytest.mark.parametrize("turns", [0, 1, 2, 4, 8, 16, 32])
async def test_a_client_that_is_closed_while_it_connects_keeps_nobody_waiting(
    server: ScriptedServer, turns: int
) -> None:
    server.script(K, "hang")
    server.bulks.append(kv_pb2.BulkInsertResponse(inserted=1, etags=[1], stop=kv_pb2.BULK_STOP_COMPLETE))
    async with asyncio.timeout(60):
        async with connect(server.address, timeout=60) as client:
            calls = [
                asyncio.create_task(call)
                for call in (client.get(K), client.put(K, b"v"), client.bulk_insert([(K, b"v")]))
            ]
            for _ in range(turns):
                await asyncio.sleep(0)
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} <= {ClientClosed, WriteAmbiguous, BulkResult}


async def test_a_client_that_is_closed_refuses_every_call(server: ScriptedServer) -> None:
    async with connect(server.address, timeout=60) as client:
        await client.get(K)
    for call in (
        client.get(K),
        client.put(K, b"v"),
        client.bulk_insert([(K, b"v")]),
        client.scan_page(KeyRange(b"", None), 1),
    ):
        with pytest.raises(ClientClosed):
            await call
