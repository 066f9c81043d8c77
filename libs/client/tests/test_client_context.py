"""Where a client may be used: in its event loop, also in the clean-up of a task that was cancelled, and in no other."""

import asyncio
import threading
from collections.abc import Awaitable, Callable

import pytest
from kit.answers import page
from kit.scripted import ScriptedServer, found

from dstk.v1 import kv_pb2, records_pb2
from dstk_client import BulkResult, ClientClosed, connect
from dstk_client.core import CoreClient
from dstk_client.types import Page, Record
from dstk_keytypes import Key, KeyRange
from dstk_service.context import WrongContext
from dstk_service.testing import eventually

K = Key.text("k")
ALL_OF_IT = kv_pb2.BulkInsertResponse(inserted=1, etags=[1], stop=kv_pb2.BULK_STOP_COMPLETE)
EVERYTHING = KeyRange(b"", None)


def to_batch(key: bytes) -> records_pb2.RecordBatch:
    return records_pb2.RecordBatch(keys=[key], values=[b"v"], etags=[1], written_at_ms=[1])


async def consume(client: CoreClient) -> list[bytes]:
    return [record.key async for record in client.scan(EVERYTHING)]


CALLS: list[Callable[[CoreClient], Awaitable[object]]] = [
    lambda client: client.get(K),
    lambda client: client.put(K, b"v"),
    lambda client: client.delete(K),
    lambda client: client.bulk_insert([(K, b"v")]),
    lambda client: client.scan_page(EVERYTHING, 1),
    consume,
]

NOTHING = KeyRange(b"a", b"a")


async def consume_nothing(client: CoreClient) -> list[bytes]:
    return [record.key async for record in client.scan(NOTHING)]


SENDING_NOTHING: list[Callable[[CoreClient], Awaitable[object]]] = [
    lambda client: client.get_many([]),
    lambda client: client.count(NOTHING),
    lambda client: client.delete_range(NOTHING),
    lambda client: client.delete_range(EVERYTHING),
    lambda client: client.scan_page(NOTHING, 1),
    lambda client: client.insert_sorted([]),
    consume_nothing,
]
"""Calls of which a client that may not be used must complain all the same."""


@pytest.mark.parametrize("use", CALLS + SENDING_NOTHING)
async def test_after_close_every_call_says_so(
    server: ScriptedServer, use: Callable[[CoreClient], Awaitable[object]]
) -> None:
    async with connect(server.address, timeout=60) as client:
        pass
    with pytest.raises(ClientClosed):
        await use(client)
    assert not server.asked
    await client.close()


@pytest.mark.parametrize("use", CALLS + SENDING_NOTHING)
async def test_another_event_loop_is_refused_before_anything_is_sent(
    server: ScriptedServer, use: Callable[[CoreClient], Awaitable[object]]
) -> None:
    server.script(K, found())
    async with connect(server.address, timeout=60) as client:

        async def elsewhere() -> None:
            with pytest.raises(WrongContext, match="another event loop"):
                await use(client)

        await asyncio.to_thread(asyncio.run, elsewhere())
        assert not server.asked
        assert not server.unary
        assert isinstance(await client.get(K), Record), "its own loop is not harmed"


async def test_a_scan_does_not_go_on_in_another_event_loop(server: ScriptedServer) -> None:
    server.pages.extend([page(b"a", resume=b"b"), page(b"c")])
    async with connect(server.address, timeout=60) as client:
        pages = client.scan(EVERYTHING).pages()
        await anext(pages)

        async def elsewhere() -> None:
            with pytest.raises(WrongContext):
                await anext(pages)

        await asyncio.to_thread(asyncio.run, elsewhere())
        assert await client.get(K) is None


async def test_without_an_event_loop_of_asyncio_it_is_refused(server: ScriptedServer) -> None:
    async with connect(server.address, timeout=60) as client:

        def drive() -> None:
            with pytest.raises(WrongContext):
                client.get(K).send(None)

        thread = threading.Thread(target=drive)
        thread.start()
        await asyncio.to_thread(thread.join)


async def test_a_cancelled_task_cleans_up_with_every_call(server: ScriptedServer) -> None:
    server.script(K, found(b"v", 7))
    server.pages.append(page(b"a"))
    server.bulks.append(ALL_OF_IT)
    async with connect(server.address, timeout=60) as client:
        done: list[object] = []

        async def worker() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                done.extend([await use(client) for use in CALLS])

        task = asyncio.create_task(worker())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert [type(each) for each in done] == [Record, type(done[1]), bool, BulkResult, Page, list]


@pytest.mark.parametrize("use", CALLS)
async def test_a_second_cancellation_ends_the_clean_up(
    server: ScriptedServer, use: Callable[[CoreClient], Awaitable[object]]
) -> None:
    server.gate.clear()
    server.pages.append(page(b"a"))
    server.bulks.append(ALL_OF_IT)
    async with connect(server.address, timeout=60) as client:

        async def worker() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                await use(client)

        task = asyncio.create_task(worker())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(0.05)
        assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 60)


async def test_a_scan_under_way_when_the_client_is_closed_raises_and_is_not_taken_for_finished(
    server: ScriptedServer,
) -> None:
    server.pages.append(lambda _: page(b"a", resume=b"b"))
    begun = asyncio.Event()

    async def scan(client: CoreClient) -> None:
        async for _ in client.scan(EVERYTHING):
            begun.set()

    async def closes_early() -> None:
        async with asyncio.TaskGroup() as tasks:
            async with connect(server.address, timeout=60) as client:
                scanning = tasks.create_task(scan(client))
                await begun.wait()
            await eventually(scanning.done)

    with pytest.raises(ExceptionGroup) as caught:
        await closes_early()
    assert [type(error) for error in caught.value.exceptions] == [ClientClosed]
