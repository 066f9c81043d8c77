"""Time as a port, so that a whole cluster can run on a virtual clock."""

import asyncio
import time
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
