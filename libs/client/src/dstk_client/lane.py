"""A lane: one Execute stream to one node, on which operations that wait at the same moment travel together.

There is no timer. The writer sends whatever is queued as soon as one of its few slots is free, so that a lone caller waits
for nothing, and many callers fill large messages while the slots are taken. An operation costs one future and two tuples;
deadlines are watched for the whole lane, since a timer each would cost as much as all the rest.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable

import grpc

from dstk.v1 import kv_pb2, kv_pb2_grpc
from dstk_client.operation import Ambiguous, Operation, Unsent
from dstk_service.channels import open_channel
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
REAP_SECONDS = 0.02

STALL_SECONDS = 1.0
"""How long a node may leave everything unanswered until operations that another node has come to serve are given up: it hangs,
or its machine is gone without a word, and their callers need not wait for their deadlines.
"""

Moved = Callable[[bytes], bool]
"""Whether another node serves the key by now."""


class Lane:
    """Sends operations to one address. `send` queues; the operation's future gets its outcome: the result message, or Unsent
    (the node never took it), Ambiguous (it may have), DeadlineExceeded.
    """

    def __init__(self, address: str, moved: Moved = lambda _: False) -> None:
        self.address = address
        self._moved = moved
        self._heard = 0.0
        """When the last answer came, or when one, or a stream, began to be waited for."""
        self._queue: deque[Operation] = deque()
        self._in_flight: dict[int, list[Operation]] = {}
        self._sent = 0
        """Messages of this stream so far; the last one's id."""
        self._refused = False
        """The node takes nothing more on this stream, and what waits is to go elsewhere."""
        self._wake = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._channel = open_channel(address)
        self._tasks = [asyncio.create_task(self._run()), asyncio.create_task(self._reap())]

    def send(self, operation: Operation) -> None:
        """Queues an operation. Raises Overloaded when too many wait."""
        queue = self._queue
        if len(queue) >= MAX_QUEUED:
            raise Overloaded(f"{len(queue)} operations wait to be sent to {self.address}", 0.05)
        queue.append(operation)
        self._wake.set()

    async def close(self) -> None:
        """Ends the stream; what waits fails."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._fail("the client is closed")
        await self._channel.close()

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._sent, self._refused = 0, False
            self._heard = self._loop.time()
            call = kv_pb2_grpc.KeyValueStub(self._channel).Execute()
            try:
                # nothing may count as sent before the node has the stream: one that stops refuses streams without a word
                if OPENED in tuple(await call.initial_metadata()):
                    await self._use(call)
            finally:
                call.cancel()
            self._fail(await _reason(call))

    async def _use(self, call: grpc.aio.StreamStreamCall) -> None:
        """Until the stream has ended or broken."""
        reader = asyncio.create_task(self._read(call))
        writer = asyncio.create_task(self._write(call))
        try:
            await asyncio.wait((reader, writer), return_when=asyncio.FIRST_COMPLETED)
        finally:
            reader.cancel()
            writer.cancel()
            await asyncio.gather(reader, writer, return_exceptions=True)

    async def _write(self, call: grpc.aio.StreamStreamCall) -> None:
        wake, in_flight, queue = self._wake, self._in_flight, self._queue
        while not self._refused:
            if not queue or len(in_flight) >= IN_FLIGHT:
                wake.clear()
                await wake.wait()
                continue
            request, operations = self._gather()
            if operations:
                if not in_flight:
                    self._heard = self._loop.time()
                self._sent = request.id
                in_flight[request.id] = operations
                await call.write(request)
        await call.done_writing()
        await self._turn_away()

    async def _turn_away(self) -> None:
        """Fails what is queued, at once and for as long as the node still answers what it has taken."""
        while True:
            self._fail_queue("it is stopping")
            await self._wake.wait()

    def _gather(self) -> tuple[kv_pb2.ExecuteRequest, list[Operation]]:
        """The next message; whose callers have gone is left out."""
        request = kv_pb2.ExecuteRequest(id=self._sent + 1, packed=True)
        add = request.operations.add
        queue = self._queue
        operations: list[Operation] = []
        room = MAX_BYTES
        while queue and room > 0 and len(operations) < MAX_OPERATIONS:
            operation = queue.popleft()
            future, _, size, fields = operation
            if future.done():
                continue
            add(**fields)
            operations.append(operation)
            room -= size
        return request, operations

    async def _read(self, call: grpc.aio.StreamStreamCall) -> None:
        in_flight, wake = self._in_flight, self._wake
        while (response := await call.read()) is not grpc.aio.EOF:
            if response is not None and response.HasField("taken"):
                self._refuse(response.taken)
                continue
            operations = None if response is None else in_flight.get(response.id)
            if operations is None or len(operations) != len(response.results):
                log.error("%s gave an answer that fits nothing it was asked: its stream is ended", self.address)
                return  # what it may belong to is in flight, and so its outcome unknown
            del in_flight[response.id]
            self._heard = self._loop.time()
            wake.set()
            for (future, _, _, _), result in zip(operations, response.results, strict=True):
                if not future.done():
                    future.set_result(result)

    def _refuse(self, taken: int) -> None:
        """The node is stopping: the messages behind the first `taken` had no effect, and no more are to follow."""
        self._refused = True
        self._wake.set()
        for number in [number for number in self._in_flight if number > taken]:
            _fail_all(self._in_flight.pop(number), lambda: Unsent(f"{self.address} is stopping"))

    def _fail(self, why: str) -> None:
        sent = [operation for operations in self._in_flight.values() for operation in operations]
        self._in_flight.clear()
        _fail_all(sent, lambda: Ambiguous(f"the stream to {self.address} broke: {why}"))
        self._fail_queue(why)

    def _fail_queue(self, why: str) -> None:
        unsent = list(self._queue)
        self._queue.clear()
        self._wake.clear()
        _fail_all(unsent, lambda: Unsent(f"{self.address} cannot be reached: {why}"))

    async def _reap(self) -> None:
        """Fails operations whose deadline has passed, and those that a hanging node keeps though they belong elsewhere."""
        while True:
            await asyncio.sleep(REAP_SECONDS)
            now = self._loop.time()
            for operations in self._in_flight.values():
                _fail_all(_late(operations, now), lambda: DeadlineExceeded(f"no answer from {self.address} in time"))
            _fail_all(_late(self._queue, now), lambda: Unsent(f"it could not be sent to {self.address} in time"))
            if (self._in_flight or self._queue) and now - self._heard > STALL_SECONDS:
                self._give_up()

    def _give_up(self) -> None:
        why = f"{self.address} answers nothing, and another node has taken over"
        for operations in self._in_flight.values():
            _fail_all(self._gone(operations), lambda: Ambiguous(why))
        _fail_all(self._gone(self._queue), lambda: Unsent(why))

    def _gone(self, operations: Iterable[Operation]) -> list[Operation]:
        return [each for each in operations if not each[0].done() and self._moved(each[3]["key"])]


def _late(operations: Iterable[Operation], now: float) -> list[Operation]:
    return [operation for operation in operations if operation[1] <= now]


def _fail_all(operations: list[Operation], error: Callable[[], Exception]) -> None:
    for future, *_ in operations:
        if not future.done():
            future.set_result(error())


async def _reason(call: grpc.aio.StreamStreamCall) -> str:
    code, details = await call.code(), await call.details()
    return f"{code.name} {details or ''}".strip()
