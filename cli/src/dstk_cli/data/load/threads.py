"""Blocking reads off the event loop, in threads that never keep the process alive.

Not the loop's own executor: it is waited for at the end, and a read from a terminal or a pipe may never return.
"""

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def in_daemon_thread(function: Callable[[], T]) -> T:
    """The function's result, or its exception. When the caller is cancelled the thread is left to itself."""
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
        except BaseException as caught:  # noqa: BLE001 - it is raised where it is awaited
            result, error = None, caught
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=run, daemon=True, name="reader").start()
    return await future
