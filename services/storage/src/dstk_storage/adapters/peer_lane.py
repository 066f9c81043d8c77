"""The lane to one follower: an Append stream, opened when it is needed and given up at the first failure."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import grpc

from dstk.v1 import replication_pb2 as pb
from dstk_keytypes import NodeId
from dstk_storage.adapters import peer_wire as wire
from dstk_storage.adapters.peer_parts import Part, joined, messages
from dstk_storage.domain.replication.ports import Append, Appended, PeerUnreachable

log = logging.getLogger(__name__)

IN_FLIGHT = 8
"""Messages that wait for their answers at one moment."""


_KNOWN = (grpc.aio.AioRpcError, PeerUnreachable, TimeoutError)
"""What callers whose group was in the way of a failure may see of it."""


@dataclass(slots=True, eq=False)
class _Group:
    """Appends of one caller, and their answers as they come. `left`: messages without an answer."""

    answers: list[Appended | None]
    done: asyncio.Future[None]
    left: int


@dataclass(slots=True, eq=False)
class _Stream:
    """One stream from its opening to its end. `waiting`: what was sent and is not answered, in order."""

    call: grpc.aio.StreamStreamCall
    heard: float
    """When the last answer came, or when one began to be waited for."""
    waiting: deque[tuple[int, list[Part], _Group]] = field(default_factory=deque)
    slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(IN_FLIGHT))
    reader: asyncio.Task[None] | None = None
    sent: int = 0


class AppendLane:
    """Groups of appends are sent in the order of the calls, and follow each other without waiting for answers.

    Invariant: answers come in the order of the messages, each with its message's number. A stream that breaks, stalls or
    answers otherwise is given up, and everything unanswered on it fails: an answer is never taken for another request's. What
    cannot be encoded fails before anything of it is sent, and harms no other group.
    """

    def __init__(self, node: NodeId, open_stream: Callable[[], grpc.aio.StreamStreamCall], stall: float) -> None:
        self._node, self._open_stream = node, open_stream
        self._stall = stall
        self._stream: _Stream | None = None
        self._turn = asyncio.Lock()
        self._loop = asyncio.get_running_loop()

    async def exchange(self, appends: Sequence[Append]) -> list[Appended]:
        """Sends a group and returns the answers. Raises TimeoutError when nothing is answered for `stall` seconds,
        AioRpcError, PeerUnreachable. A caller who goes away leaves the lane to the others.
        """
        cut = list(messages(appends))
        if not cut:
            return []
        group = _Group([None] * len(appends), self._loop.create_future(), len(cut))
        async with self._turn:
            stream, until = self._usable(), self._loop.time() + self._stall
            for parts in cut:
                request = _request(parts, self._node)
                try:
                    async with asyncio.timeout_at(until):
                        await self._write(stream, group, parts, request)
                except BaseException as error:
                    self._give_up(stream, error)  # half a message may be on its way
                    raise
        await self._answered(stream, group)
        return [answer for answer in group.answers if answer is not None]

    def drop(self) -> None:
        """Gives the stream up."""
        if self._stream is not None:
            self._give_up(self._stream, PeerUnreachable("the lane is closed"))

    def _usable(self) -> _Stream:
        stream = self._stream
        if stream is None or stream.call.done():  # the node may have ended it while nobody was asking
            stream = self._stream = _Stream(self._open_stream(), self._loop.time())
            stream.reader = asyncio.create_task(self._read(stream))
        return stream

    async def _write(self, stream: _Stream, group: _Group, parts: list[Part], request: pb.AppendRequest) -> None:
        await stream.slots.acquire()
        stream.sent += 1
        request.id = stream.sent
        if not stream.waiting:
            stream.heard = self._loop.time()
        stream.waiting.append((stream.sent, parts, group))
        await stream.call.write(request)

    async def _answered(self, stream: _Stream, group: _Group) -> None:
        """Returns when the group is answered whole; gives the stream up when it has been silent for too long."""
        while True:
            try:
                async with asyncio.timeout_at(stream.heard + self._stall):
                    return await asyncio.shield(group.done)
            except TimeoutError as error:
                if self._loop.time() >= stream.heard + self._stall:
                    self._give_up(stream, error)
                    raise

    async def _read(self, stream: _Stream) -> None:
        try:
            while (response := await stream.call.read()) is not grpc.aio.EOF:
                self._take(stream, response)
            await stream.call.code()
            raise PeerUnreachable("it has ended the stream")
        except (grpc.aio.AioRpcError, PeerUnreachable) as error:
            self._give_up(stream, error)
        except Exception as error:
            log.exception("what a follower answers cannot be read: its stream is given up")
            self._give_up(stream, error)

    def _take(self, stream: _Stream, response: pb.AppendResponse | None) -> None:
        """Notes the answers to the oldest message, which waits until all of them are read. Raises PeerUnreachable when they are
        those to another one.
        """
        stream.heard = self._loop.time()
        number, parts, group = stream.waiting[0] if stream.waiting else (0, [], None)
        asked = [part.append.partition for part in parts]
        if group is None or response is None or (response.id, _partitions(response)) != (number, asked):
            raise PeerUnreachable(f"it has answered something other than message {number}")
        for part, result in zip(parts, response.results, strict=True):
            group.answers[part.place] = joined(group.answers[part.place], wire.read_appended(result))
        stream.waiting.popleft()
        stream.slots.release()
        group.left -= 1
        if not group.left and not group.done.done():
            group.done.set_result(None)

    def _give_up(self, stream: _Stream, error: BaseException) -> None:
        if self._stream is stream:
            self._stream = None
        stream.call.cancel()
        if stream.reader is not None and stream.reader is not asyncio.current_task():
            stream.reader.cancel()
        why = error if isinstance(error, _KNOWN) else PeerUnreachable("the stream was given up")
        while stream.waiting:
            *_, group = stream.waiting.popleft()
            if not group.done.done():
                group.done.set_exception(why)
                group.done.exception()  # it counts as seen: its caller may have gone


def _request(parts: list[Part], node: NodeId) -> pb.AppendRequest:
    request = pb.AppendRequest()
    for part in parts:
        wire.write_append(request.appends.add(), part.append, part.entries, node)
    return request


def _partitions(response: pb.AppendResponse) -> list[int]:
    return [result.partition_id for result in response.results]
