"""Running blocking engine calls off the event loop."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TypeVar

T = TypeVar("T")


class ThreadOffload:
    """A few threads, and a way to have the engine for oneself: LevelDB must not be closed under a running call."""

    def __init__(self, threads: int, name: str) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._running = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._open = asyncio.Event()
        self._open.set()

    async def __call__(self, call: Callable[[], T], /) -> T:
        """See Offload. The call runs to its end even when the caller is cancelled."""
        while not self._open.is_set():
            await self._open.wait()
        self._running += 1
        self._idle.clear()
        future = asyncio.get_running_loop().run_in_executor(self._executor, call)
        future.add_done_callback(self._finished)
        return await future

    @asynccontextmanager
    async def exclusive(self) -> AsyncIterator[None]:
        """Holds new calls back and waits for those under way."""
        self._open.clear()
        try:
            await self._idle.wait()
            yield
        finally:
            self._open.set()

    async def close(self) -> None:
        """Waits for the calls under way and ends the threads."""
        await self._idle.wait()
        self._executor.shutdown()

    def _finished(self, _future: object) -> None:
        self._running -= 1
        if not self._running:
            self._idle.set()
