"""An event loop in a thread of its own, for callers that have none."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future
from contextlib import AbstractAsyncContextManager
from typing import Any, Generic, TypeVar

from dstk_client.calls import Call
from dstk_client.operation import CLOSED, ClientClosed
from dstk_service.context import Process, WrongContext

C = TypeVar("C")
T = TypeVar("T")


class Background(Generic[C]):
    """Holds a connection open on its loop, and runs calls there for blocking callers in any thread of its process.

    Invariant: whatever `run` has taken on ends, by itself or with ClientClosed. A call is taken on under the lock, so that
    the loop has it before it hears of the end; and the loop ends only when no task is left.
    """

    def __init__(self, connection: AbstractAsyncContextManager[C]) -> None:
        self._connection = connection
        self._process = Process()
        self._lock = threading.RLock()  # a signal's handler may call while its thread is in here
        self._closed = False
        self._ready: Future[C] = Future()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="dstk-client", daemon=True)

    @property
    def is_open(self) -> bool:
        """False once closed, and in a forked child, to which the connection does not belong."""
        return not self._closed and self._process.is_here

    def start(self) -> C:
        """Opens the connection and returns what it yields. Raises what opening does."""
        try:
            self._thread.start()
        except RuntimeError:  # no thread is to be had
            self._loop.close()
            raise
        return self._ready.result()

    def run(self, make: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The outcome of a call, whose coroutine is made on the loop. Raises what it does, ClientClosed after `close`,
        WrongContext in a forked child and on the loop's own thread, which would wait for itself. A caller who is interrupted
        cancels the call.
        """
        call = Call(make)
        try:
            self._take(call)
            return call.future.result()
        except CancelledError:
            raise ClientClosed(CLOSED) from None
        except BaseException:
            if call.future.cancel():  # else the call itself has failed
                self._end(call)
            raise

    def close(self) -> None:
        """Closes the connection, ends every call, and returns when the loop and its thread are gone. In a forked child all of
        that belongs to the parent, and is left alone.
        """
        if not self._process.is_here or self._thread.ident is None:
            return
        with self._lock:
            if not self._closed:
                self._closed = True
                self._loop.call_soon_threadsafe(self._let_go)
        self._thread.join()

    def _take(self, call: Call[Any]) -> None:
        self._process.check("this client")
        if threading.current_thread() is self._thread:
            raise WrongContext("this client waits for its own thread: make no calls from what it calls")
        with self._lock:
            if self._closed:
                raise ClientClosed(CLOSED)
            self._loop.call_soon_threadsafe(call.begin)

    def _end(self, call: Call[Any]) -> None:
        if not self._process.is_here:
            return
        with self._lock:
            if not self._closed:
                self._loop.call_soon_threadsafe(call.end)

    async def _hold(self) -> None:
        """Keeps the connection open until it is cancelled."""
        try:
            async with self._connection as opened:
                self._ready.set_result(opened)
                await asyncio.Event().wait()
        except BaseException as error:
            if self._ready.done():
                raise
            self._ready.set_exception(error)

    def _let_go(self) -> None:
        self._holding.cancel()

    def _serve(self) -> None:
        """The thread: holds the connection, then ends whatever still runs."""
        loop = self._loop
        self._holding = loop.create_task(self._hold())
        try:
            loop.run_until_complete(asyncio.wait([self._holding]))
            with self._lock:
                self._closed = True
            loop.run_until_complete(_end_tasks())
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.run_until_complete(loop.shutdown_default_executor())
        finally:
            loop.close()


async def _end_tasks() -> None:
    """Cancels all tasks but this one until none is left: a task may begin others while it ends."""
    while others := asyncio.all_tasks() - {asyncio.current_task()}:
        for task in others:
            task.cancel()
        await asyncio.wait(others)
