"""Long texts of an operations server: made a piece at a time, on a thread, and no faster than the caller reads."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable

from starlette.responses import StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from dstk_telemetry.metrics.scrapes import PLAIN

MOST_AT_ONCE = 2
"""Answers that are made at the same time; further callers wait for their turn."""

Piece = Callable[[], bytes]
"""Makes a piece of the text, in a few milliseconds, on a thread."""

Pieces = Callable[[], Iterable[Piece]]
"""Takes what the whole text is made of, on the event loop; the pieces follow in order."""


class StreamedText:
    """An ASGI application that answers in Prometheus' text format."""

    def __init__(self, path: str, pieces: Pieces) -> None:
        self._path, self._pieces = path, pieces
        self._turns = asyncio.Semaphore(MOST_AT_ONCE)

    @property
    def route(self) -> Route:
        """Where it is served."""
        return Route(self._path, self, methods=["GET"])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        async with self._turns:
            await StreamingResponse(_made(self._pieces()), headers={"content-type": PLAIN})(scope, receive, send)


async def _made(pieces: Iterable[Piece]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield await asyncio.to_thread(piece)
