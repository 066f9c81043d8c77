"""Streaming methods as server-sent events."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator

from google.protobuf.message import Message
from starlette.responses import StreamingResponse

from dstk_metrics.console.broadcast import Broadcast
from dstk_metrics.console.figures import ConsoleFigures
from dstk_metrics.console.problems import body_of
from dstk_metrics.console.transcoder import Transcoder, as_json
from dstk_service.errors import DeadlineExceeded, DstkError, Overloaded

MOST_STREAMS = 8
"""Streams that differ in their request. Each is computed once, for all its listeners."""

FIRST_SECONDS = 10.0
"""For the first message of a stream."""


class LiveStreams:
    """The streams that browsers follow, each computed once."""

    def __init__(self, transcoder: Transcoder, figures: ConsoleFigures) -> None:
        self._transcoder, self._figures = transcoder, figures
        self._streams: dict[tuple[str, bytes], Broadcast] = {}

    async def follow(self, method: str, request: Message) -> StreamingResponse:
        """Events with the messages of a method as data, or, named "trouble", with an error, which is the last one. Raises the
        DstkError that comes instead of the first message.
        """
        messages = self._broadcast(method, request).listen()
        try:
            async with asyncio.timeout(FIRST_SECONDS):
                first = await anext(messages)
        except TimeoutError:
            raise DeadlineExceeded("no statistics within 10 s") from None
        return StreamingResponse(_events(first, messages), media_type="text/event-stream")

    @property
    def listeners(self) -> int:
        """How many listen to all streams."""
        return sum(stream.listeners for stream in self._streams.values())

    def _broadcast(self, method: str, request: Message) -> Broadcast:
        key = method, request.SerializeToString(deterministic=True)
        if key not in self._streams:
            self._streams = {name: stream for name, stream in self._streams.items() if stream.listeners}
            if len(self._streams) >= MOST_STREAMS:
                raise Overloaded(f"{MOST_STREAMS} different streams are followed already", FIRST_SECONDS)
            self._streams[key] = Broadcast(lambda: self._encoded(method, request), self._figures)
        return self._streams[key]

    async def _encoded(self, method: str, request: Message) -> AsyncGenerator[bytes, None]:
        async for message in self._transcoder.stream(method, request):
            yield b"data: %b\n\n" % as_json(message)


async def _events(first: bytes, rest: AsyncGenerator[bytes, None]) -> AsyncIterator[bytes]:
    try:
        yield first
        async for message in rest:
            yield message
    except DstkError as error:
        yield b"event: trouble\ndata: %b\n\n" % json.dumps(body_of(error)).encode()
    finally:
        await rest.aclose()
