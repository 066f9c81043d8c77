"""The server's side of one Execute stream: one answer for each message, and an end that leaves no message ambiguous.

If a server just ended the stream, the caller could not tell a message that the server never read from one whose answer was
lost. So a stopping server says how many messages it has taken, and keeps reading, without taking any, until the caller has
ended its side. A count in the trailers would be lost whenever the caller was writing at that moment: its transport then reports
only the failed write.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

import grpc

from dstk.v1 import kv_pb2
from dstk_service import requests
from dstk_service.answers import PART_RESERVED_BYTES, Answers, Lease
from dstk_service.drain import Drain
from dstk_service.observe import NULL, Observer
from dstk_service.rpc_events import OperationsEnded
from dstk_service.together import together
from dstk_service.trace import NEVER, Sampler
from dstk_service.traced_operations import traced

MAX_IN_FLIGHT = 16
"""The most messages of one stream that wait for their answer. Further ones stay in the transport, which slows the sender."""

OPENED = ("dstk-stream", "open")
"""Initial metadata that every served stream starts with, before the first message is read. A stream that a stopping server does
not serve ends with empty initial metadata.
"""

LEAVE_SECONDS = 2.0
"""How many seconds a caller has to end a stream of a stopping server."""

Parts = AsyncGenerator[kv_pb2.ExecuteResponse, None]
Answer = kv_pb2.ExecuteResponse | Parts
Handle = Callable[[kv_pb2.ExecuteRequest, OperationsEnded], Answer]
"""Handles a message in one step. The answer is either complete, or comes in parts while the next messages are read. Each part
after the first is requested when there is room for PART_RESERVED_BYTES, and sent before the next one. The event counts all
operations of the message when the last part is given.
"""


class ExecuteStream:
    """Serves one stream from its first message to its end, and tells the observer of each message that is answered.

    Invariant: exactly the first `_taken` messages are handled and answered, and the caller never gets a smaller number.
    """

    def __init__(
        self,
        handle: Handle,
        drain: Drain,
        answers: Answers,
        context: grpc.aio.ServicerContext,
        observer: Observer = NULL,
        monotonic: Callable[[], float] = time.monotonic,
        sampler: Sampler = NEVER,
    ) -> None:
        self._observer, self._monotonic, self._sampler = observer, monotonic, sampler
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
        """Reads messages until the caller ends the stream or the server drains; returns when all taken messages are answered.

        Raises InvalidArgument for a message that cannot be decoded, Overloaded for a caller that does not read its answers.
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
            tally = OperationsEnded(self._monotonic())
            tally.traced = traced(request, tally.begun, self._sampler)
            answer = self._handle(request, tally)
            del request  # only the answer keeps it
            if isinstance(answer, kv_pb2.ExecuteResponse):
                data = answer.SerializeToString()
                tally.response_bytes = len(data)
                await self._send(data)
                self._tell(tally)
            else:
                answers.create_task(self._send_parts(answer, tally))
                await self._slots.acquire()

    async def _leave(self, reading: asyncio.Task[None]) -> None:
        """Ends the stream of a draining server: takes nothing more, and tells the caller how many messages were taken."""
        await self._drain.wait()
        self._leaving = True
        await self._send(kv_pb2.ExecuteResponse(taken=self._taken).SerializeToString())
        await asyncio.wait((reading,), timeout=LEAVE_SECONDS)
        reading.cancel()

    async def _send_parts(self, parts: Parts, tally: OperationsEnded) -> None:
        """Sends the parts of one message. Messages in parts take turns: at most one part of a stream waits for room."""
        async with aclosing(parts):
            more = await self._send_next(parts, tally)
            while more:
                async with self._turn:
                    with await self._answers.reserve(PART_RESERVED_BYTES, self._context.peer()) as lease:
                        more = await self._send_next(parts, tally, lease)
        self._slots.release()
        self._tell(tally)

    async def _send_next(self, parts: Parts, tally: OperationsEnded, lease: Lease | None = None) -> bool:
        """Sends the next part; returns whether another one follows."""
        part = await anext(parts)
        more, data = part.more, part.SerializeToString()
        del part  # the transport holds the only copy while it waits to be read
        tally.response_bytes += len(data)
        await self._send(data, lease)
        return more

    async def _send(self, data: bytes, lease: Lease | None = None) -> None:
        await self._writing.acquire()
        try:  # `async with` would run two more coroutines for each answer
            await self._answers.write(self._context, data, lease)
        finally:
            self._writing.release()

    def _tell(self, tally: OperationsEnded) -> None:
        tally.seconds = self._monotonic() - tally.begun
        self._observer.observe(tally)
