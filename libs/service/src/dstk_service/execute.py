"""The server's side of one Execute stream: messages in, one answer each out, and an end that leaves nobody in doubt.

A server that just ended the stream would leave every message that it had not read ambiguous: its sender could not tell it from
one whose answer was lost. So it says how many it has taken, and goes on reading, without taking anything, until the caller has
ended its side. A count in the trailers instead would be lost whenever the caller was writing at that moment: its transport
then reports the failed write, and nothing else.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import grpc

from dstk.v1 import kv_pb2
from dstk_service import requests
from dstk_service.drain import Drain

MAX_IN_FLIGHT = 16
"""Messages of one stream that wait for their answer; further ones stay in the transport, which slows the sender down."""

OPENED = ("dstk-stream", "open")
"""In the initial metadata of every stream, which come before the first message is read. A stream that the server does not come
to serve, for it is stopping, ends with initial metadata as well, if empty ones.
"""

FAREWELL_SECONDS = 2.0
"""How long a caller may take to end a stream that the server wants to end."""

Answer = kv_pb2.ExecuteResponse | Coroutine[Any, Any, kv_pb2.ExecuteResponse]
Handle = Callable[[kv_pb2.ExecuteRequest], Answer]
"""Takes a message, in one step; the answer is given at once, or by a coroutine, beside which the next messages are read."""


class ExecuteStream:
    """Serves one stream from its first message to its end.

    Invariant: exactly the first `_taken` messages are handled and answered, and a caller is never told a smaller number.
    """

    def __init__(self, handle: Handle, drain: Drain, context: grpc.aio.ServicerContext) -> None:
        self._handle = handle
        self._drain = drain
        self._context = context
        self._taken = 0
        self._leaving = False
        self._slots = asyncio.Semaphore(MAX_IN_FLIGHT)
        self._writing = asyncio.Lock()

    async def run(self) -> None:
        """Reads messages until the caller has no more, or the server drains; returns when all that were taken are answered.
        Raises InvalidArgument for a message that is none.
        """
        await self._context.send_initial_metadata((OPENED,))
        try:
            async with asyncio.TaskGroup() as tasks:
                reading = tasks.create_task(self._read(tasks))
                leaving = tasks.create_task(self._leave(reading))
                reading.add_done_callback(lambda _: self._leaving or leaving.cancel())
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from group

    async def _read(self, answers: asyncio.TaskGroup) -> None:
        while (request := await self._context.read()) is not grpc.aio.EOF:
            if self._leaving:
                continue
            requests.operations(request)
            self._taken += 1
            answer = self._handle(request)
            if isinstance(answer, kv_pb2.ExecuteResponse):
                await self._send(answer)
            else:
                answers.create_task(self._send_later(answer))
                await self._slots.acquire()

    async def _leave(self, reading: asyncio.Task[None]) -> None:
        """Once the server drains: nothing more is taken, and the caller hears what was."""
        await self._drain.wait()
        self._leaving = True
        await self._send(kv_pb2.ExecuteResponse(taken=self._taken))
        await asyncio.wait((reading,), timeout=FAREWELL_SECONDS)
        reading.cancel()

    async def _send_later(self, answer: Coroutine[Any, Any, kv_pb2.ExecuteResponse]) -> None:
        await self._send(await answer)
        self._slots.release()

    async def _send(self, response: kv_pb2.ExecuteResponse) -> None:
        async with self._writing:
            await self._context.write(response)
