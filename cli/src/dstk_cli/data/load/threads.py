"""Runs blocking reads in daemon threads.

The event loop waits for its own executor at the end, and a read from a terminal or a pipe may never return.
"""

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def in_daemon_thread(function: Callable[[], T]) -> T:
    """Returns the result of the function, or raises its exception. A cancelled caller does not stop the thread."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]  # None only where T is

    def run() -> None:
        try:
            result, error = function(), None
        except BaseException as caught:  # noqa: BLE001 - the awaiting caller raises it
            result, error = None, caught
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=run, daemon=True, name="reader").start()
    return await future
