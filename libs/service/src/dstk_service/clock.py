"""Time as a port, so that a whole cluster can run on a virtual clock."""

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """What the domain may know of time."""

    def now_ms(self) -> int:
        """Unix time in milliseconds; may jump."""

    def monotonic(self) -> float:
        """Seconds from some origin; never jumps."""

    async def sleep(self, seconds: float) -> None:
        """Waits."""


class SystemClock:
    """The machine's clocks."""

    def now_ms(self) -> int:
        """See Clock."""
        return int(time.time() * 1000)

    def monotonic(self) -> float:
        """See Clock."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """See Clock."""
        await asyncio.sleep(seconds)
