"""A lane: one Execute stream to one node. Operations that wait at the same moment travel in one message.

The writer sends all queued operations as soon as one of its few in-flight slots is free: no timer delays a lone caller, and
many callers fill large messages while the slots are taken. An operation costs one future and one tuple. One timer watches the
deadlines of the whole lane, and only while an operation waits; a timer for each operation would double its cost.

An operation that cannot be encoded, or is too large to be sent, fails alone. An unexpected error of a lane's task is logged and
fails the lane's operations; deadlines do not depend on the task.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial

import grpc

from dstk.v1 import kv_pb2
from dstk_client.batch_meter import BatchMeter
from dstk_client.encoding import empty, encoded, fits, unsendable
from dstk_client.operation import BROKEN, CLOSED, Ambiguous, ClientClosed, Moved, Operation, Unsent, fail_all, late_of
from dstk_service.errors import DeadlineExceeded, Overloaded
from dstk_service.execute import OPENED
from dstk_service.observe import NULL, Observer
from dstk_service.transport.grpc_connector import GRPC, end
from dstk_service.transport.port import Connector

log = logging.getLogger(__name__)

IN_FLIGHT = 2
"""The most messages in flight: one travels while the node works on the other. More only makes messages smaller, and with three
replicas each message costs messages between nodes: compared with a three-member etcd, 256 callers wrote 2.0 times as much with
four in flight, and 2.4 to 2.7 times as much with two, on a busy machine.
"""

LARGE_BYTES = 64 << 10
"""Operations from this size on use a lane, and a connection, of their own. Gets that waited behind 16 puts of 1 MiB took 440 ms
on a shared lane, and take 0.4 ms apart. Large records need no such lane: a lane's answers omit them (INLINE_BYTES).
"""

MAX_OPERATIONS, MAX_BYTES, MAX_QUEUED = 2048, 1 << 20, 100_000
WATCH_SECONDS = 0.02

STALL_SECONDS = 1.0
"""Seconds without any answer after which operations are given up if another node serves their keys by then. The silent node
hangs, or its machine is gone, and callers need not wait for their deadlines.
"""


class Lane:
    """Sends operations to one address. `send` queues an operation, whose future gets its outcome: the result message, Unsent
    (the node did not accept it), Ambiguous (it may have), or DeadlineExceeded.
    """

    def __init__(
        self,
        address: str,
        moved: Moved = lambda _: False,
        *,
        stall: float | None = None,
        broke: Callable[[], None] = lambda: None,
        large: "Callable[[], Lane] | None" = None,
        connector: Connector = GRPC,
        observer: Observer = NULL,
    ) -> None:
        """`stall`: seconds of silence after which `moved` is asked. `broke`: called when the node cannot be reached, or misses
        deadlines. `large`: returns the lane for large operations; None: this lane sends them, too.
        """
        self.address = address
        self._moved, self._broke, self._large = moved, broke, large
        self._stall = STALL_SECONDS if stall is None else stall
        self._new_meter = partial(BatchMeter.of, address, observer)
        self._meter = self._new_meter()
        self._heard = 0.0
        """When the last answer came, or when the wait for an answer or for a stream began."""
        self.queue: deque[Operation] = deque()
        self._in_flight: dict[int, list[Operation]] = {}
        self._sent = 0
        """The number of messages sent on this stream; also the id of the last one."""
        self._refused = False
        """The node accepts nothing more on this stream: queued operations must go to another node."""
        self.closed = False
        """Set by `close`: nothing more is sent."""
        self._wake = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._channel = connector.connect(address)
        self._execute = self._channel.stream_stream(
            "/dstk.v1.KeyValue/Execute", response_deserializer=kv_pb2.ExecuteResponse.FromString
        )  # without a serializer: the lane encodes its messages itself
        self._watching: asyncio.TimerHandle | None = None
        self._begin()

    def send(self, operation: Operation) -> None:
        """Queues an operation. Raises Overloaded when too many wait, ClientClosed after `close`."""
        if self.closed:
            raise ClientClosed(CLOSED)
        if operation[2] >= LARGE_BYTES and self._large is not None:
            self._large().send(operation)
            return
        queue = self.queue
        if len(queue) >= MAX_QUEUED:
            raise Overloaded(f"{len(queue)} operations wait to be sent to {self.address}", 0.05)
        queue.append(operation)
        self._wake.set()
        if self._watching is None:
            self._watching = self._loop.call_later(WATCH_SECONDS, self._watch)

    @property
    def idle(self) -> bool:
        """Whether no operation waits."""
        return not (self.queue or self._in_flight)

    async def close(self) -> None:
        """Ends the stream and fails the operations that wait."""
        self.closed = True
        if self._watching is not None:
            self._watching.cancel()
        self._task.cancel()
        await asyncio.wait((self._task,))
        del self._task  # its traceback would keep the call, and so the socket, alive
        self._fail(CLOSED)
        await self._channel.close()

    def _begin(self) -> None:
        self._task = self._loop.create_task(self._run())
        self._task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Runs when the lane's task ends. Before `close` that happens only if the loop cancels all tasks, or on Ctrl-C."""
        if self.closed:
            return
        if task.cancelled() or task.exception() is None:
            self.closed = True
        else:
            self._begin()
        self._fail("it was interrupted")

    async def _run(self) -> None:
        while not self.closed:  # checked, since gRPC swallows some cancellations
            await self._wake.wait()
            try:
                why = await self._stream()
            except Exception as error:
                log.exception("the lane to %s failed; opening a new stream", self.address)
                why = f"unexpected {type(error).__name__}"
            self._fail(why)
            self._broke()

    async def _stream(self) -> str:
        """Runs one stream until it ends; returns the reason."""
        self._sent, self._refused, self._heard = 0, False, self._loop.time()
        self._meter = self._new_meter()
        call = self._execute()
        try:
            # send nothing before the node has accepted the stream: a node that stops refuses streams without a message
            if OPENED in tuple(await call.initial_metadata()):
                await self._use(call)
        finally:
            await end(call)
        return f"{(await call.code()).name} {await call.details() or ''}".strip()

    async def _use(self, call: grpc.aio.StreamStreamCall) -> None:
        """Reads and writes until the stream ends or breaks. Raises an unexpected error of either task."""
        tasks = [asyncio.create_task(self._read(call)), asyncio.create_task(self._write(call))]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        for task in tasks:
            error = None if task.cancelled() else task.exception()
            if isinstance(error, Exception) and not isinstance(error, BROKEN):
                raise error

    async def _write(self, call: grpc.aio.StreamStreamCall) -> None:
        wake, in_flight, queue = self._wake, self._in_flight, self.queue
        while not self._refused:
            if not queue or len(in_flight) >= IN_FLIGHT:
                wake.clear()
                await wake.wait()
                continue
            if message := self._next_message():
                await call.write(message)
        await call.done_writing()
        await self._turn_away()

    def _next_message(self) -> bytes:
        """Moves the next operations from the queue into flight, and encodes their message; b"" if none are left to send."""
        number, operations = self._sent + 1, list[Operation]()
        if not self._in_flight:
            self._heard = self._loop.time()
        self._in_flight[number] = operations  # filled in place, so that an exception loses no operation
        request = self._gather(number, operations)
        message = encoded(request, operations) if operations else b""
        if message:
            self._sent = number
            if self._meter is not None:
                self._meter.sent(number, len(operations), len(message), request.traces)
        else:
            del self._in_flight[number]
            self.queue.extendleft(reversed(operations))
        return message

    async def _turn_away(self) -> None:
        """Fails queued operations until the stream ends; meanwhile the node answers the messages that it has accepted."""
        while True:
            self._fail_queue("it is stopping")
            await self._wake.wait()

    def _gather(self, number: int, operations: list[Operation]) -> kv_pb2.ExecuteRequest:
        """Moves operations from the queue into a message, without those whose callers have stopped waiting."""
        request = empty(number)
        add = request.operations.add
        queue, room = self.queue, MAX_BYTES
        while queue and room > 0 and len(operations) < MAX_OPERATIONS:
            operation = queue.popleft()
            future, _, size, fields, trace = operation
            if future.done():
                continue
            try:
                add(**fields)  # leaves the message unchanged when it raises
            except Exception as error:  # noqa: BLE001 - only the caller of a bad operation gets the error
                future.set_result(unsendable(error))
                continue
            if trace is not None:
                request.traces.add(operation=len(operations), context=trace)
            operations.append(operation)
            room -= size
        return request

    async def _read(self, call: grpc.aio.StreamStreamCall) -> None:
        in_flight, wake = self._in_flight, self._wake
        while (response := await call.read()) is not grpc.aio.EOF:
            if response is not None and response.HasField("taken"):
                self._refuse(response.taken)
                continue
            operations = None if response is None else in_flight.get(response.id)
            if operations is None or not fits(response, operations):  # None: gRPC could not decode the answer
                log.error("%s sent an answer that matches no message in flight; ending its stream", self.address)
                return  # the outcome of everything in flight is then unknown
            if response.more:
                in_flight[response.id] = operations[len(response.results) :]
            else:
                del in_flight[response.id]
                wake.set()
                if self._meter is not None:
                    self._meter.answered(response.id)
            self._heard = self._loop.time()
            for (future, _, _, _, _), result in zip(operations, response.results, strict=False):
                if not future.done():
                    future.set_result(result)

    def _refuse(self, taken: int) -> None:
        """The node is stopping: messages after the first `taken` had no effect, and the lane must send no more."""
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
        unsent = list(self.queue)
        self.queue.clear()
        self._wake.clear()
        fail_all(unsent, lambda: Unsent(f"{self.address} cannot be reached: {why}"))

    def _watch(self) -> None:
        """Fails operations whose deadline has passed, and those of a silent node whose keys another node serves."""
        if self.idle:
            self._watching = None
            return
        # first, so that no error below ends the watch
        self._watching = self._loop.call_later(WATCH_SECONDS, self._watch)
        now = self._loop.time()
        silent = now - self._heard
        for operations in self._in_flight.values():
            late = late_of(operations, now)
            fail_all(late, lambda: DeadlineExceeded(f"no answer from {self.address} in time"))
            if late and silent > self._stall:
                self._broke()
        fail_all(late_of(self.queue, now), lambda: Unsent(f"it could not be sent to {self.address} in time"))
        if silent > self._stall:
            self._give_up()

    def _give_up(self) -> None:
        why = f"{self.address} does not answer, and another node has taken over"
        for operations in self._in_flight.values():
            fail_all(self._gone(operations), lambda: Ambiguous(why))
        fail_all(self._gone(self.queue), lambda: Unsent(why))

    def _gone(self, operations: Iterable[Operation]) -> list[Operation]:
        return [each for each in operations if not each[0].done() and self._moved(each[3]["key"])]
