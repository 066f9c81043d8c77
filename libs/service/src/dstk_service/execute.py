"""The server's side of one Execute stream: messages in, an answer each out, and an end that leaves nobody in doubt.

A server that just ended the stream would leave every message that it had not read ambiguous: its sender could not tell it from
one whose answer was lost. So it says how many it has taken, and goes on reading, without taking anything, until the caller has
ended its side. A count in the trailers instead would be lost whenever the caller was writing at that moment: its transport
then reports the failed write, and nothing else.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

import grpc

from dstk.v1 import kv_pb2
from dstk_service import requests
from dstk_service.answers import PART_RESERVED_BYTES, Answers, Lease
from dstk_service.drain import Drain
from dstk_service.together import together

MAX_IN_FLIGHT = 16
"""Messages of one stream that wait for their answer; further ones stay in the transport, which slows the sender down."""

OPENED = ("dstk-stream", "open")
"""In the initial metadata of every stream, which come before the first message is read. A stream that the server does not come
to serve, for it is stopping, ends with initial metadata as well, if empty ones.
"""

FAREWELL_SECONDS = 2.0
"""How long a caller may take to end a stream that the server wants to end."""

Parts = AsyncGenerator[kv_pb2.ExecuteResponse, None]
Answer = kv_pb2.ExecuteResponse | Parts
Handle = Callable[[kv_pb2.ExecuteRequest], Answer]
"""Takes a message, in one step; the answer is given at once, or in parts that come later, beside which the next messages are
read. Each part but the first is asked for when there is room for PART_RESERVED_BYTES, and sent before the next one.
"""


class ExecuteStream:
    """Serves one stream from its first message to its end.

    Invariant: exactly the first `_taken` messages are handled and answered, and a caller is never told a smaller number.
    """

    def __init__(self, handle: Handle, drain: Drain, answers: Answers, context: grpc.aio.ServicerContext) -> None:
        self._handle = handle
        self._drain = drain
        self._answers = answers
        self._context = context
        self._taken = 0
        self._leaving = False
        self._slots = asyncio.Semaphore(MAX_IN_FLIGHT)
        self._turn = asyncio.Lock()
        self._writing = asyncio.Lock()

    async def run(self) -> None:
        """Reads messages until the caller has no more, or the server drains; returns when all that were taken are answered.
        Raises InvalidArgument for a message that is none, Overloaded for a caller that takes no answers.
        """
        await self._context.send_initial_metadata((OPENED,))
        async with together() as tasks:
            reading = tasks.create_task(self._read(tasks))
            leaving = tasks.create_task(self._leave(reading))
            reading.add_done_callback(lambda _: self._leaving or leaving.cancel())

    async def _read(self, answers: asyncio.TaskGroup) -> None:
        while (request := await self._context.read()) is not grpc.aio.EOF:
            if self._leaving:
                continue
            requests.operations(request)
            self._taken += 1
            answer = self._handle(request)
            del request  # it is the answer's to keep
            if isinstance(answer, kv_pb2.ExecuteResponse):
                await self._send(answer.SerializeToString())
            else:
                answers.create_task(self._send_parts(answer))
                await self._slots.acquire()

    async def _leave(self, reading: asyncio.Task[None]) -> None:
        """Once the server drains: nothing more is taken, and the caller hears what was."""
        await self._drain.wait()
        self._leaving = True
        await self._send(kv_pb2.ExecuteResponse(taken=self._taken).SerializeToString())
        await asyncio.wait((reading,), timeout=FAREWELL_SECONDS)
        reading.cancel()

    async def _send_parts(self, parts: Parts) -> None:
        """Messages with several parts take turns with one of them: a stream waits with one at most."""
        async with aclosing(parts):
            more = await self._send_next(parts)
            while more:
                async with self._turn:
                    with await self._answers.reserve(PART_RESERVED_BYTES, self._context.peer()) as lease:
                        more = await self._send_next(parts, lease)
        self._slots.release()

    async def _send_next(self, parts: Parts, lease: Lease | None = None) -> bool:
        """Whether there is another part behind it."""
        part = await anext(parts)
        more, data = part.more, part.SerializeToString()
        del part  # while it waits to be read, it is there only once
        await self._send(data, lease)
        return more

    async def _send(self, data: bytes, lease: Lease | None = None) -> None:
        async with self._writing:
            await self._answers.write(self._context, data, lease)
