"""A lane: one Execute stream to one node, on which operations that wait at the same moment travel together.

The writer sends whatever is queued as soon as one of its few slots is free: no timer delays a lone caller, and many callers
fill large messages while the slots are taken. An operation costs one future and two tuples; deadlines are watched for the
whole lane, since a timer each would cost as much as all the rest, and only while something waits.

What an operation is made of is its caller's business alone: one that cannot be encoded, or is too large to be sent, fails by
itself. And whatever happens to a lane's task, it is logged, and fails what the lane had; deadlines do not depend on it.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable

import grpc

from dstk.v1 import kv_pb2
from dstk_client.encoding import empty, encoded, fits, unsendable
from dstk_client.heavy import LARGE_BYTES, UNREAD, Heavy, Sized
from dstk_client.operation import CLOSED, Ambiguous, ClientClosed, Operation, Unsent, fail_all, late_of
from dstk_service.channels import end, open_channel
from dstk_service.errors import DeadlineExceeded, Overloaded
from dstk_service.execute import OPENED

log = logging.getLogger(__name__)

IN_FLIGHT = 2
"""Messages that wait for their answer at one moment: one is on its way while one is worked on. More only makes them smaller,
and to three replicas each costs messages between nodes as well: beside a three-member etcd 256 callers wrote 2.0 times as much
with four, 2.4 to 2.7 times with two, on a busy machine.
"""

MAX_OPERATIONS = 2048
MAX_BYTES = 1 << 20
MAX_QUEUED = 100_000
WATCH_SECONDS = 0.02

STALL_SECONDS = 1.0
"""How long a node may leave everything unanswered until operations that another node has come to serve are given up: it hangs,
or its machine is gone without a word, and their callers need not wait for their deadlines.
"""

Moved = Callable[[bytes], bool]
"""Whether another node serves the key by now."""

_BROKEN = (grpc.aio.AioRpcError, grpc.aio.UsageError, grpc.aio.InternalError, asyncio.InvalidStateError)
"""How gRPC says in the midst of a stream that it has ended."""


class Lane:
    """Sends operations to one address. `send` queues; the operation's future gets its outcome: the result message, or Unsent
    (the node never took it), Ambiguous (it may have), DeadlineExceeded.
    """

    def __init__(
        self,
        address: str,
        moved: Moved = lambda _: False,
        *,
        stall: float | None = None,
        broke: Callable[[], None] = lambda: None,
        beside: "Callable[[], Lane] | None" = None,
        heavy: Heavy | None = None,
    ) -> None:
        """`stall`: seconds of silence after which `moved` is asked. `broke`: told when the node is not to be had, or leaves its
        callers to their deadlines. `beside`: gives the lane for what is large, as `heavy` has it; None: this one takes all.
        """
        self.address = address
        self._moved, self._broke, self._beside = moved, broke, beside
        self._heavy = heavy or Heavy()
        self._stall = STALL_SECONDS if stall is None else stall
        self._heard = 0.0
        """When the last answer came, or when one, or a stream, began to be waited for."""
        self._queue: deque[Operation] = deque()
        self._in_flight: dict[int, list[Operation]] = {}
        self._sent = 0
        """Messages of this stream so far; the last one's id."""
        self._refused = False
        """The node takes nothing more on this stream, and what waits is to go elsewhere."""
        self.closed = False
        """By `close`: nothing is sent any more."""
        self._wake = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._channel = open_channel(address)
        self._execute = self._channel.stream_stream(
            "/dstk.v1.KeyValue/Execute", response_deserializer=Sized.read
        )  # takes bytes: the lane encodes by itself
        self._watching: asyncio.TimerHandle | None = None
        self._begin()

    def send(self, operation: Operation) -> None:
        """Queues an operation. Raises Overloaded when too many wait, ClientClosed after `close`."""
        if self.closed:
            raise ClientClosed(CLOSED)
        heavy = self._heavy
        large = operation[2] >= LARGE_BYTES or (heavy.keys and operation[3]["key"] in heavy.keys)
        if large and self._beside is not None:
            self._beside().send(heavy.weighed(operation))
            return
        queue = self._queue
        if len(queue) >= MAX_QUEUED:
            raise Overloaded(f"{len(queue)} operations wait to be sent to {self.address}", 0.05)
        queue.append(operation)
        self._wake.set()
        if self._watching is None:
            self._watching = self._loop.call_later(WATCH_SECONDS, self._watch)

    @property
    def idle(self) -> bool:
        """Whether nothing waits."""
        return not (self._queue or self._in_flight)

    async def close(self) -> None:
        """Ends the stream; what waits fails."""
        self.closed = True
        if self._watching is not None:
            self._watching.cancel()
        self._task.cancel()
        await asyncio.wait((self._task,))
        del self._task  # it keeps its traceback, and so the call, and so the socket
        self._fail(CLOSED)
        await self._channel.close()

    def _begin(self) -> None:
        self._task = self._loop.create_task(self._run())
        self._task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """The lane's task ends before `close` only where its loop ends all tasks, or by Ctrl-C in its midst."""
        if self.closed:
            return
        if task.cancelled() or task.exception() is None:
            self.closed = True
        else:
            self._begin()
        self._fail("it was interrupted")

    async def _run(self) -> None:
        while not self.closed:  # gRPC's waits do not pass every cancellation on
            await self._wake.wait()
            try:
                why = await self._stream()
            except Exception as error:
                log.exception("the lane to %s failed, and begins again", self.address)
                why = f"unforeseen {type(error).__name__}"
            self._fail(why)
            self._broke()

    async def _stream(self) -> str:
        """One stream, from its opening until it has ended; returns why it has."""
        self._sent, self._refused, self._heard = 0, False, self._loop.time()
        call = self._execute()
        try:
            # nothing may count as sent before the node has the stream: one that stops refuses streams without a word
            if OPENED in tuple(await call.initial_metadata()):
                await self._use(call)
        finally:
            await end(call)
        code, details = await call.code(), await call.details()
        return f"{code.name} {details or ''}".strip()

    async def _use(self, call: grpc.aio.StreamStreamCall) -> None:
        """Until the stream has ended or broken. Raises what its tasks did not expect."""
        tasks = [asyncio.create_task(self._read(call)), asyncio.create_task(self._write(call))]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        for task in tasks:
            error = None if task.cancelled() else task.exception()
            if isinstance(error, Exception) and not isinstance(error, _BROKEN):
                raise error

    async def _write(self, call: grpc.aio.StreamStreamCall) -> None:
        wake, in_flight, queue = self._wake, self._in_flight, self._queue
        while not self._refused:
            if not queue or len(in_flight) >= IN_FLIGHT:
                wake.clear()
                await wake.wait()
                continue
            message = self._next_message()
            if message:
                await call.write(message)
        await call.done_writing()
        await self._turn_away()

    def _next_message(self) -> bytes:
        """Takes the next message out of the queue into flight, and encodes it. Empty when nothing is left to be sent."""
        number, operations = self._sent + 1, list[Operation]()
        if not self._in_flight:
            self._heard = self._loop.time()
        self._in_flight[number] = operations  # filled in there, so that nothing is in neither place whatever is raised
        request = self._gather(number, operations)
        message = encoded(request, operations) if operations else b""
        if message:
            self._sent = number
        else:
            del self._in_flight[number]
            self._queue.extendleft(reversed(operations))
        return message

    async def _turn_away(self) -> None:
        """Fails what is queued, at once and for as long as the node still answers what it has taken."""
        while True:
            self._fail_queue("it is stopping")
            await self._wake.wait()

    def _gather(self, number: int, operations: list[Operation]) -> kv_pb2.ExecuteRequest:
        """Moves operations out of the queue into a message; whose callers have gone is left out."""
        request = empty(number)
        add = request.operations.add
        queue, room = self._queue, MAX_BYTES
        while queue and room > 0 and len(operations) < MAX_OPERATIONS:
            operation = queue.popleft()
            future, _, size, fields = operation
            if future.done():
                continue
            try:
                add(**fields)  # leaves the message as it was when it raises
            except Exception as error:  # noqa: BLE001 - a caller's mistake is that caller's alone
                future.set_result(unsendable(error))
                continue
            operations.append(operation)
            room -= size
        return request

    async def _read(self, call: grpc.aio.StreamStreamCall) -> None:
        in_flight, wake = self._in_flight, self._wake
        while (answer := await call.read()) is not grpc.aio.EOF:
            response, size = answer or UNREAD
            if response.HasField("taken"):
                self._refuse(response.taken)
                continue
            operations = in_flight.get(response.id)
            if operations is None or not fits(response, operations):
                log.error("%s gave an answer that fits nothing it was asked: its stream is ended", self.address)
                return  # what it may belong to is in flight, and so its outcome unknown
            if response.more:
                in_flight[response.id] = operations[len(response.results) :]
            else:
                del in_flight[response.id]
                wake.set()
            self._heard = self._loop.time()
            for (future, _, _, _), result in zip(operations, response.results, strict=False):
                if not future.done():
                    future.set_result(result)
            if size >= LARGE_BYTES or self._beside is None:
                self._heavy.learn(operations, response.results)

    def _refuse(self, taken: int) -> None:
        """The node is stopping: the messages behind the first `taken` had no effect, and no more are to follow."""
        self._refused = True
        self._wake.set()
        for number in [number for number in self._in_flight if number > taken]:
            fail_all(self._in_flight.pop(number), lambda: Unsent(f"{self.address} is stopping"))
        self._broke()

    def _fail(self, why: str) -> None:
        sent = [operation for operations in self._in_flight.values() for operation in operations]
        self._in_flight.clear()
        fail_all(sent, lambda: Ambiguous(f"the stream to {self.address} broke: {why}"))
        self._fail_queue(why)

    def _fail_queue(self, why: str) -> None:
        unsent = list(self._queue)
        self._queue.clear()
        self._wake.clear()
        fail_all(unsent, lambda: Unsent(f"{self.address} cannot be reached: {why}"))

    def _watch(self) -> None:
        """Fails operations whose deadline has passed, and those that a hanging node keeps though they belong elsewhere."""
        if self.idle:
            self._watching = None
            return
        self._watching = self._loop.call_later(WATCH_SECONDS, self._watch)  # first: nothing below may end the watch
        now = self._loop.time()
        silent = now - self._heard
        for operations in self._in_flight.values():
            late = late_of(operations, now)
            fail_all(late, lambda: DeadlineExceeded(f"no answer from {self.address} in time"))
            if late and silent > self._stall:
                self._broke()
        fail_all(late_of(self._queue, now), lambda: Unsent(f"it could not be sent to {self.address} in time"))
        if silent > self._stall:
            self._give_up()

    def _give_up(self) -> None:
        why = f"{self.address} answers nothing, and another node has taken over"
        for operations in self._in_flight.values():
            fail_all(self._gone(operations), lambda: Ambiguous(why))
        fail_all(self._gone(self._queue), lambda: Unsent(why))

    def _gone(self, operations: Iterable[Operation]) -> list[Operation]:
        return [each for each in operations if not each[0].done() and self._moved(each[3]["key"])]
