"""Ends the open streams of a stopping server in order, since callers may keep them open without end."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class Drain:
    """After `begin`, every `stream` block ends at its next wait, as if the stream had ended there."""

    def __init__(self) -> None:
        self.begun = False
        self._waiting: set[asyncio.Task[object]] = set()
        self._event = asyncio.Event()

    def begin(self) -> None:
        """Ends open streams and later ones."""
        self.begun = True
        self._event.set()
        for task in self._waiting:
            task.cancel()

    async def wait(self) -> None:
        """Returns when `begin` is called, for streams that send a last message instead of ending in the middle of a wait."""
        await self._event.wait()

    @contextmanager
    def stream(self) -> Iterator[None]:
        """A block that waits for the caller or for news. Cancels like asyncio.timeout: it interrupts the await inside the
        block, and the code after the block continues.
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
