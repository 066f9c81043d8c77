"""Waiting for what other processes do: nothing tells when it has happened, so it is asked for again and again."""

import asyncio
from collections.abc import Awaitable, Callable


async def until(condition: Callable[[], Awaitable[bool]], every: float) -> None:
    """Returns once the condition holds, asked every so many seconds. The caller sets the deadline."""
    while not await condition():
        await asyncio.sleep(every)
