"""Ending streams that would last as long as their callers like, so that a stopping server need not cut them off."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class Drain:
    """Once `begin` is called, every `stream` block is left at its next wait, as if the stream had ended there."""

    def __init__(self) -> None:
        self.begun = False
        self._waiting: set[asyncio.Task[object]] = set()
        self._event = asyncio.Event()

    def begin(self) -> None:
        """Ends the streams under way, and those to come."""
        self.begun = True
        self._event.set()
        for task in self._waiting:
            task.cancel()

    async def wait(self) -> None:
        """Returns when `begin` is called, for streams that say goodbye rather than end in the middle of a wait."""
        await self._event.wait()

    @contextmanager
    def stream(self) -> Iterator[None]:
        """Around what waits for the caller, or for news to tell. Cancels like asyncio.timeout: what the block itself
        awaits is interrupted, the code after it goes on.
        """
        task = asyncio.current_task()
        assert task is not None
        self._waiting.add(task)
        if self.begun:
            task.cancel()
        try:
            yield
        except asyncio.CancelledError:
            if not self.begun or task.uncancel() > 0:
                raise
        finally:
            self._waiting.discard(task)
