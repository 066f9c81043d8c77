"""The client for programs without an event loop: its threads, its end, its process."""

import asyncio
import contextlib
import gc
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from kit.scripted import ScriptedServer, found

from dstk_client import ClientClosed, SyncClient, connect_sync
from dstk_client.background import Background
from dstk_client.calls import Call
from dstk_keytypes import Key, KeyRange
from dstk_service.context import WrongContext
from dstk_service.errors import WriteAmbiguous
from dstk_service.testing import eventually

K = Key.text("k")
EVERYTHING = KeyRange(b"", None)

CALLS: list[Callable[[SyncClient], object]] = [
    lambda client: client.get(K),
    lambda client: client.put(K, b"v"),
    lambda client: client.delete(K),
    lambda client: client.bulk_insert([(K, b"v")]),
    lambda client: client.scan_page(EVERYTHING, 1),
    lambda client: list(client.scan(EVERYTHING)),
    lambda client: list(client.scan(KeyRange(b"a", b"a"))),
    lambda client: client.get_many([]),
    lambda client: client.insert_sorted([]),
]


@contextlib.asynccontextmanager
async def apart(server: ScriptedServer) -> Any:
    """A synchronous client whose calls are made in other threads: the server needs this one."""
    with ThreadPoolExecutor(64) as threads:
        loop = asyncio.get_running_loop()
        client = await loop.run_in_executor(threads, lambda: connect_sync(server.address, timeout=60))
        try:
            yield client, lambda call: loop.run_in_executor(threads, call)
        finally:
            await loop.run_in_executor(threads, client.close)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("hangs", [True, False])
async def test_calls_of_many_threads_all_end_when_the_client_is_closed(server: ScriptedServer, *, hangs: bool) -> None:
    server.script(K, "hang" if hangs else found())
    async with apart(server) as (client, call):
        begun: list[Key] = []

        def loop_for_ever() -> None:
            begun.append(K)
            while True:
                client.get(K)

        callers = [call(loop_for_ever) for _ in range(48)]
        # where nothing is answered, some wait behind the messages that a lane sends at once
        await eventually(lambda: len(begun) == 48 and server.times(K))
        closing = call(client._background.close)
    await asyncio.wait_for(closing, 60)
    outcomes = await asyncio.wait_for(asyncio.gather(*callers, return_exceptions=True), 60)
    assert {type(outcome) for outcome in outcomes} == {ClientClosed}


async def test_a_write_on_its_way_at_the_end_is_ambiguous(server: ScriptedServer) -> None:
    server.script(K, "hang")
    async with apart(server) as (client, call):
        writing = call(lambda: client.put(K, b"v"))
        await eventually(lambda: server.times(K) == 1)
    with pytest.raises(WriteAmbiguous, match="closed"):
        await writing


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("use", CALLS)
async def test_a_client_that_is_closed_says_so_at_once(
    server: ScriptedServer, use: Callable[[SyncClient], object]
) -> None:
    async with apart(server) as (client, _):
        pass
    with pytest.raises(ClientClosed):
        await asyncio.to_thread(use, client)
    assert not server.asked


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("moment", ["before it is taken", "once it is taken", "while it waits"])
async def test_a_caller_who_is_interrupted_cancels_the_call(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """As Ctrl-C does in the main thread, at any moment; the client goes on."""
    server.script(K, "hang")
    async with apart(server) as (client, call):
        futures: list[Future[Any]] = []
        take = Background._take

        def interrupt() -> None:
            raise KeyboardInterrupt

        def take_and_interrupt(self: Background[Any], taken: Call[Any]) -> None:
            futures.append(taken.future)
            if moment != "before it is taken":
                take(self, taken)
            if moment != "while it waits":
                interrupt()
            monkeypatch.setattr(taken.future, "result", interrupt)

        def interrupted() -> None:
            with pytest.raises(KeyboardInterrupt):
                client.get(K)

        with monkeypatch.context() as patched:
            patched.setattr(Background, "_take", take_and_interrupt)
            await call(interrupted)
        assert futures[0].cancelled()
        assert await call(lambda: client.get(Key.text("other"))) is None
        gc.collect()


async def test_a_call_that_cannot_begin_ends(server: ScriptedServer) -> None:
    async with apart(server) as (client, call):

        def refuse() -> Coroutine[Any, Any, None]:
            raise TypeError("no such argument")

        with pytest.raises(TypeError, match="no such"):
            await call(lambda: client._background.run(refuse))


async def test_a_call_on_the_clients_own_thread_is_refused_where_it_would_wait_for_itself(
    server: ScriptedServer,
) -> None:
    async with apart(server) as (client, call):

        async def inside() -> None:
            client.get(K)

        with pytest.raises(WrongContext, match="its own thread"):
            await call(lambda: client._background.run(inside))
        assert await call(lambda: client.get(K)) is None


@pytest.mark.filterwarnings("error")
async def test_no_thread_to_be_had_is_an_error(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(RuntimeError, match="new thread"), connect_sync(server.address, timeout=60):
        raise AssertionError("unreachable")
