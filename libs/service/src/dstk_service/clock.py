"""Time as a port, so that a whole cluster can run on a virtual clock."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

from typing_extensions import override


class Clock(Protocol):
    """What the domain may know of time."""

    def now_ms(self) -> int:
        """Unix time in milliseconds; may jump."""

    def monotonic(self) -> float:
        """Seconds from some origin; never jumps."""

    async def sleep(self, seconds: float) -> None:
        """Waits."""

    def timeout(self, seconds: float) -> AbstractAsyncContextManager[object]:
        """A block that raises TimeoutError once it has taken so many seconds on this clock.

        The default rests on `sleep`, for clocks that tests move.
        """
        return self._timeout(seconds)

    @asynccontextmanager
    async def _timeout(self, seconds: float) -> AsyncIterator[None]:
        async with asyncio.timeout(None) as limit:
            alarm = asyncio.create_task(self._alarm(limit, seconds))
            try:
                yield
            finally:
                alarm.cancel()

    async def _alarm(self, limit: asyncio.Timeout, seconds: float) -> None:
        await self.sleep(seconds)
        limit.reschedule(asyncio.get_running_loop().time())


async def sleep_unless(woken: asyncio.Event, clock: Clock, seconds: float) -> None:
    """Waits so many seconds on the clock, or until the event is set."""
    sleeping = asyncio.ensure_future(clock.sleep(seconds))
    waking = asyncio.ensure_future(woken.wait())
    try:
        await asyncio.wait((sleeping, waking), return_when=asyncio.FIRST_COMPLETED)
    finally:
        sleeping.cancel()
        waking.cancel()


class SystemClock(Clock):
    """The machine's clocks."""

    @override
    def now_ms(self) -> int:
        return int(time.time() * 1000)

    @override
    def monotonic(self) -> float:
        return time.monotonic()

    @override
    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    @override
    def timeout(self, seconds: float) -> asyncio.Timeout:
        return asyncio.timeout(seconds)
