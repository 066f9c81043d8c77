"""Offloads of blocking calls that need no threads: at once, when a test lets them go on, or as long as a disk takes."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from typing_extensions import override

from dstk_service.clock import Clock
from dstk_storage.ports import Offload

T = TypeVar("T")


async def inline(call: Callable[[], T], /) -> T:
    """Yields once, as a thread would, and runs the call where it is."""
    await asyncio.sleep(0)
    return call()


async def at_once(call: Callable[[], T], /) -> T:
    """Runs the call before anything else has a turn."""
    return call()


class BlockedOffload(Offload):
    """Runs calls while `free` is set, as it is at first; `waiting`: calls that are not run yet."""

    def __init__(self) -> None:
        self.free, self.waiting = asyncio.Event(), 0
        self.free.set()

    @override
    async def __call__(self, call: Callable[[], T], /) -> T:
        self.waiting += 1
        await self.free.wait()
        await asyncio.sleep(0)  # as a thread would
        self.waiting -= 1
        return call()


class SlowOffload(Offload):
    """Each call takes so many seconds of a clock."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock, self._seconds = clock, seconds

    @override
    async def __call__(self, call: Callable[[], T], /) -> T:
        await self._clock.sleep(self._seconds)
        return call()
