"""Execute streams of a real server that stops: what it has taken it answers, and it says how much that is."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest

from dstk.v1 import kv_pb2, kv_pb2_grpc
from dstk_service import execute
from dstk_service.answers import Answers
from dstk_service.drain import Drain
from dstk_service.execute import OPENED, ExecuteStream
from dstk_service.outcomes import OutcomeClass
from dstk_service.rpc_events import OperationKind, OperationsEnded
from dstk_service.testing import ManualClock, RecordingObserver, eventually
from dstk_service.transport.grpc_connector import GRPC
from dstk_service.transport.grpc_server import GrpcServer


class Slow(kv_pb2_grpc.KeyValueServicer):
    """Answers gets at once, everything else when `disk` is set. `handled`: the messages' ids."""

    def __init__(self, drain: Drain, answers: Answers, *observing: Any) -> None:
        self.observing = observing
        self.drain = drain
        self.answers = answers
        self.disk = asyncio.Event()
        self.handled: list[int] = []

    async def Execute(self, request_iterator: Any, context: Any) -> None:
        await ExecuteStream(self.handle, self.drain, self.answers, context, *self.observing).run()

    def handle(self, request: kv_pb2.ExecuteRequest, tally: OperationsEnded) -> execute.Answer:
        self.handled.append(request.id)
        response = kv_pb2.ExecuteResponse(id=request.id)
        if request.operations[0].kind == kv_pb2.OPERATION_KIND_GET:
            tally.gets += 1
            return response
        tally.puts += 1
        return self._later(response, tally)

    async def _later(self, response: kv_pb2.ExecuteResponse, tally: OperationsEnded) -> execute.Parts:
        await self.disk.wait()
        tally.fail(OperationKind.PUT, OutcomeClass.SERVER)
        yield response


@asynccontextmanager
async def stream(*observing: Any) -> AsyncIterator[tuple[GrpcServer, Slow, Any]]:
    """A server, and a stream to it."""
    server = GrpcServer("127.0.0.1:0")
    servicer = Slow(server.drain, server.answers, *observing)
    server.add(kv_pb2_grpc.add_KeyValueServicer_to_server, servicer, "dstk.v1.KeyValue")
    async with GRPC.connect(await server.start()) as channel:
        try:
            yield server, servicer, kv_pb2_grpc.KeyValueStub(channel).Execute()
        finally:
            await server.stop(0)


def message(number: int, kind: kv_pb2.OperationKind.ValueType = kv_pb2.OPERATION_KIND_GET) -> kv_pb2.ExecuteRequest:
    return kv_pb2.ExecuteRequest(id=number, operations=[kv_pb2.Operation(kind=kind, key=b"k")])


async def test_a_stream_says_that_it_is_open_before_anything_is_sent() -> None:
    async with stream() as (_, _, call):
        assert OPENED in tuple(await call.initial_metadata())


async def test_a_server_that_stops_says_what_it_has_taken_answers_that_and_takes_nothing_more() -> None:
    async with stream() as (server, servicer, call):
        await call.write(message(7))
        assert (await call.read()).id == 7
        await call.write(message(8, kv_pb2.OPERATION_KIND_PUT))
        await call.write(message(9))
        assert (await call.read()).id == 9
        stopping = asyncio.create_task(server.stop(60))
        last_message = await call.read()
        assert (last_message.HasField("taken"), last_message.taken) == (True, 3)
        for number in range(50):
            await call.write(message(number, kv_pb2.OPERATION_KIND_PUT))
        servicer.disk.set()
        assert (await call.read()).id == 8
        await call.done_writing()
        assert await call.read() is grpc.aio.EOF
        assert await call.code() is grpc.StatusCode.OK
        await stopping
        assert servicer.handled == [7, 8, 9]


async def test_a_stream_that_has_carried_nothing_is_told_so() -> None:
    async with stream() as (server, _, call):
        await call.initial_metadata()
        server.drain.begin()
        last_message = await call.read()
        assert (last_message.HasField("taken"), last_message.taken) == (True, 0)


async def test_a_caller_that_does_not_end_its_stream_is_cut_off_when_everything_is_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(execute, "LEAVE_SECONDS", 0.05)
    async with stream() as (server, servicer, call):
        await call.write(message(1, kv_pb2.OPERATION_KIND_PUT))
        await eventually(lambda: servicer.handled)
        server.drain.begin()
        assert (await call.read()).taken == 1
        await asyncio.sleep(0.2)
        servicer.disk.set()
        assert (await call.read()).id == 1
        assert await call.read() is grpc.aio.EOF


async def test_a_message_that_is_none_ends_the_stream_with_the_reason() -> None:
    async with stream() as (_, servicer, call):
        await call.write(kv_pb2.ExecuteRequest(id=1))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.read()
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert not servicer.handled


async def test_each_message_is_told_when_it_is_answered() -> None:
    clock, observer = ManualClock(), RecordingObserver()
    async with stream(observer, clock.monotonic) as (_, servicer, call):
        await call.write(message(1))
        sizes = [(await call.read()).ByteSize()]
        await call.write(message(2, kv_pb2.OPERATION_KIND_PUT))
        await eventually(lambda: servicer.handled == [1, 2])
        assert len(observer.events) == 1
        await clock.advance(2.5)
        servicer.disk.set()
        sizes.append((await call.read()).ByteSize())
        await eventually(lambda: len(observer.events) == 2)
    read, written = observer.of(OperationsEnded)
    assert (read.gets, read.puts, read.seconds, written.gets, written.puts) == (1, 0, 0.0, 0, 1)
    assert written.seconds == pytest.approx(2.5)
    assert [read.response_bytes, written.response_bytes] == sizes
    assert read.failed is None
    assert written.failed == {(OperationKind.PUT, OutcomeClass.SERVER): 1}
