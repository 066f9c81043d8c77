"""An event loop in a background thread, for callers without one."""

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

    Invariant: every call that `run` accepts ends, by itself or with ClientClosed. A call is accepted under the lock, so the
    loop has it before `close` stops the loop; and the loop stops only when no task is left.
    """

    def __init__(self, connection: AbstractAsyncContextManager[C]) -> None:
        self._connection = connection
        self._process = Process()
        self._lock = threading.RLock()  # a signal's handler may call while its thread is in here
        self._closed = False
        self._ready: Future[C] = Future()
        self._loop: asyncio.AbstractEventLoop | None = None
        """Made on its thread, where no Ctrl-C can leave half of one."""
        self._thread = threading.Thread(target=self._serve, name="dstk-client", daemon=True)

    @property
    def is_open(self) -> bool:
        """False once closed, and in a forked child, to which the connection does not belong."""
        return not self._closed and self._process.is_here

    def start(self) -> C:
        """Opens the connection and returns what it yields. Raises what opening raises."""
        self._thread.start()
        return self._ready.result()

    def run(self, make: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Runs the coroutine that `make` returns on the loop, and returns its result.

        Raises what the coroutine raises, ClientClosed after `close`, and WrongContext in a forked child or on the loop's own
        thread, which would wait for itself. An interrupt of the caller cancels the call.
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
        """Closes the connection, ends every call, and returns when the loop's thread has ended. Does nothing in a forked
        child, where the connection belongs to the parent.
        """
        if not self._process.is_here or self._thread.ident is None:
            return
        with self._lock:
            if not self._closed and self._loop is not None:
                self._loop.call_soon_threadsafe(self._release)
            self._closed = True
        self._thread.join()

    def _take(self, call: Call[Any]) -> None:
        self._process.check("this client")
        if threading.current_thread() is self._thread:
            raise WrongContext("this call would wait for its own thread: make no calls from a callback of the client")
        with self._lock:
            if self._closed or self._loop is None:
                raise ClientClosed(CLOSED)
            self._loop.call_soon_threadsafe(call.begin)

    def _end(self, call: Call[Any]) -> None:
        if not self._process.is_here:
            return
        with self._lock:
            if not self._closed and self._loop is not None:
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

    def _release(self) -> None:
        self._holding.cancel()

    def _serve(self) -> None:
        """The thread's main function: holds the connection, then ends the tasks that are left."""
        try:
            loop = asyncio.new_event_loop()
        except OSError as error:  # no file descriptor left
            self._ready.set_exception(error)
            return
        self._holding = loop.create_task(self._hold())
        with self._lock:
            self._loop = loop
            if self._closed:
                self._holding.cancel()
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
    """Cancels all tasks but this one until none is left, because a task may start others while it ends."""
    while others := asyncio.all_tasks() - {asyncio.current_task()}:
        for task in others:
            task.cancel()
        await asyncio.wait(others)
