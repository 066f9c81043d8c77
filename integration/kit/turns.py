"""Turns of the event loop, for what happens in a few of them whatever time it is."""

import asyncio


async def turns(count: int = 100) -> None:
    """Lets everything else run so often: enough for asyncio, by default, to hand over a connection that it has accepted."""
    for _ in range(count):
        await asyncio.sleep(0)
