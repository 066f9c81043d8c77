"""The lane to one follower: an Append stream, opened when it is needed and given up at the first failure."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

import grpc

from dstk.v1 import replication_pb2 as pb
from dstk_storage.adapters import peer_wire as wire
from dstk_storage.adapters.peer_parts import Part, joined, messages
from dstk_storage.domain.replication.ports import Append, Appended, PeerUnreachable

IN_FLIGHT = 4
"""Messages of a group that wait for their answers at one moment."""


class AppendLane:
    """Groups of appends take turns; the messages of one follow each other without waiting for answers.

    Invariant: the stream is given up with anything unanswered on it, whether for a failure or for a caller who went away. So
    an answer is never taken for another request's, and what was sent on a stream arrives in order or not at all.
    """

    def __init__(self, open_stream: Callable[[], grpc.aio.StreamStreamCall], stall: float) -> None:
        self._open_stream = open_stream
        self._stall = stall
        self._stream: grpc.aio.StreamStreamCall | None = None
        self._turn = asyncio.Lock()
        self._sent = 0

    async def exchange(self, appends: Sequence[Append]) -> list[Appended]:
        """Sends a group and returns the answers. Raises TimeoutError when nothing is answered for `stall` seconds,
        AioRpcError, PeerUnreachable.
        """
        async with self._turn:
            stream = self._usable()
            try:
                return await self._pass(stream, appends)
            except BaseException:
                self.drop()
                raise

    def drop(self) -> None:
        """Gives the stream up."""
        if self._stream is not None:
            self._stream.cancel()
            self._stream = None

    def _usable(self) -> grpc.aio.StreamStreamCall:
        if self._stream is None or self._stream.done():  # the node may have ended it while nobody was asking
            self._stream = self._open_stream()
        return self._stream

    async def _pass(self, stream: grpc.aio.StreamStreamCall, appends: Sequence[Append]) -> list[Appended]:
        answers: list[Appended | None] = [None] * len(appends)
        waiting: deque[list[Part]] = deque()
        now = asyncio.get_running_loop().time
        async with asyncio.timeout(self._stall) as limit:
            for parts in messages(appends):
                if len(waiting) == IN_FLIGHT:
                    await self._read(stream, self._sent - IN_FLIGHT + 1, waiting.popleft(), answers)
                    limit.reschedule(now() + self._stall)
                await self._write(stream, parts)
                waiting.append(parts)
            while waiting:
                await self._read(stream, self._sent - len(waiting) + 1, waiting.popleft(), answers)
                limit.reschedule(now() + self._stall)
        return [answer for answer in answers if answer is not None]

    async def _write(self, stream: grpc.aio.StreamStreamCall, parts: list[Part]) -> None:
        self._sent += 1
        request = pb.AppendRequest(id=self._sent)
        for part in parts:
            wire.write_append(request.appends.add(), part.append, part.entries)
        await stream.write(request)

    async def _read(
        self, stream: grpc.aio.StreamStreamCall, number: int, parts: list[Part], answers: list[Appended | None]
    ) -> None:
        """Notes the answers to the message of this number."""
        response = await stream.read()
        if response is grpc.aio.EOF:
            raise PeerUnreachable("it has ended the stream")
        asked = [part.append.partition for part in parts]
        if response.id != number or [result.partition_id for result in response.results] != asked:
            raise PeerUnreachable(f"it has answered something other than message {number}")
        for part, result in zip(parts, response.results, strict=True):
            answers[part.place] = joined(answers[part.place], wire.read_appended(result))
