"""One computation for any number of listeners."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, contextmanager

from dstk_metrics.console.figures import ConsoleFigures

Source = Callable[[], AsyncGenerator[bytes, None]]


class Broadcast:
    """What a source yields, for all who listen: it runs while there is a listener, and is encoded once.

    A new listener receives the newest message at once. A slow one receives the newest when it is ready, and misses those in
    between: nothing is queued.
    """

    def __init__(self, source: Source, figures: ConsoleFigures) -> None:
        self._source, self._figures = source, figures
        self._newest: bytes | None = None
        self._number = 0
        """Of the newest message."""
        self._failure: Exception | None = None
        self._changed = asyncio.Event()
        self._pump: asyncio.Task[None] | None = None
        self.listeners = 0
        """How many listen."""

    async def listen(self) -> AsyncGenerator[bytes, None]:
        """Yields messages until the source ends. Raises the source's failure."""
        with self._listening():
            seen = self._number - 1 if self._newest is not None else self._number
            while True:
                changed, newest = self._changed, self._newest
                if newest is not None and seen < self._number:
                    self._figures.events_sent += 1
                    self._figures.events_dropped += self._number - seen - 1
                    seen = self._number
                    yield newest
                elif self._failure is not None:
                    raise self._failure
                elif self._pump is None or self._pump.done():
                    return
                else:
                    await changed.wait()

    @contextmanager
    def _listening(self) -> Iterator[None]:
        self.listeners += 1
        if self._pump is None or self._pump.done():
            self._newest = self._failure = None
            self._pump = asyncio.create_task(self._run())
        try:
            yield
        finally:
            self.listeners -= 1
            if not self.listeners:
                self._pump.cancel()
                self._pump = self._newest = None

    async def _run(self) -> None:
        try:
            async with aclosing(self._source()) as messages:
                async for message in messages:
                    self._newest = message
                    self._number += 1
                    self._wake()
        except Exception as error:  # noqa: BLE001 - each listener raises it
            self._failure = error
        finally:
            self._wake()

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
