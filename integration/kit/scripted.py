"""A gRPC server with scripted answers, to test callers when things go wrong."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
from typing_extensions import override

from dstk.v1 import kv_pb2, kv_pb2_grpc, topology_pb2, topology_pb2_grpc
from dstk_service.errors import DstkError
from dstk_service.execute import OPENED
from dstk_service.status import to_status
from dstk_service.trace import TraceContext, current_trace, decoded
from dstk_service.transport.grpc_options import Options
from dstk_service.transport.grpc_server import GrpcServer
from kit.fake_store import FakeStore
from kit.map_entries import map_entry
from kit.servers import listening

Given = kv_pb2.OperationResult | DstkError | str
Answer = Given | Callable[[kv_pb2.Operation], Given]
"""An operation's outcome, or what makes one of it. "hang": no answer; "break": the stream ends without one; "lose": the message
is answered without this operation's result; "leave": it is not taken, and neither is anything else of its stream.
"""


def found(value: bytes = b"v", etag: int = 1) -> kv_pb2.OperationResult:
    """A success."""
    return kv_pb2.OperationResult(value=value, etag=etag)


class ScriptedServer(kv_pb2_grpc.KeyValueServicer, topology_pb2_grpc.TopologyServicer):
    """Every operation takes the next answer of its key's script, and the last one for ever.

    `asked`: the operations that arrived, in order. `messages`: how many came in each Execute message. `traces`: the places and
    contexts of traced operations. `calls`: the context within which each call of its own was handled.
    """

    def __init__(self) -> None:
        self.scripts: dict[bytes, deque[Answer]] = {}
        self.asked: list[kv_pb2.Operation] = []
        self.messages: list[int] = []
        self.traces: list[tuple[int, TraceContext | None]] = []
        self.calls: list[TraceContext | None] = []
        self.unary: list[Any] = []
        self.gets: deque[Any] = deque()
        self.pages: deque[Any] = deque()
        self.bulks: deque[Any] = deque()
        self.refused_streams = 0
        """So many Execute streams are ended as if the server had never seen them."""
        self.ends_streams = asyncio.Event()
        """Whether a stream that a "leave" ends is over when its caller has ended it."""
        self.ends_streams.set()
        self.gate = asyncio.Event()
        self.gate.set()
        """Nothing is answered while it is cleared."""
        self.update = topology_pb2.TopologyUpdate()
        self.watchers = 0
        self.address = ""
        self._new_map = asyncio.Event()
        self._watching = asyncio.Event()

    def script(self, key: bytes, *answers: Answer) -> None:
        """Sets the answers to operations on this key."""
        self.scripts[key] = deque(answers)

    def times(self, key: bytes) -> int:
        """How many operations on the key arrived."""
        return sum(operation.key == key for operation in self.asked)

    def keeps(self, store: FakeStore, *keys: bytes) -> None:
        """Does what it is asked, on a store: operations on these keys, and all scans and bulk inserts."""
        for key in keys:
            self.script(key, store.operation)
        self.pages = deque([store.page])
        self.bulks = deque([store.bulk])

    def owns(self, *partitions: topology_pb2.Partition, nodes: dict[str, str] | None = None) -> None:
        """Sets the map that Watch sends, also to open streams."""
        named = nodes or {"storage-1": self.address}
        self.update = topology_pb2.TopologyUpdate(
            revision=1,
            full=True,
            partitions=partitions,
            nodes=[topology_pb2.Node(id=name, address=address) for name, address in named.items()],
        )
        self._tell()

    def ends_watches(self) -> None:
        """Streams of the map that are under way end; new ones are served."""
        self._watching.set()
        self._watching = asyncio.Event()
        self._tell()

    def _tell(self) -> None:
        told, self._new_map = self._new_map, asyncio.Event()
        told.set()

    @override
    async def Watch(self, request: Any, context: Any) -> AsyncIterator[topology_pb2.TopologyUpdate]:
        self.watchers += 1
        ended = self._watching
        while not ended.is_set():
            new_map = self._new_map
            yield self.update
            await new_map.wait()

    @override
    async def Execute(self, request_iterator: Any, context: Any) -> None:  # type: ignore[override] # it reads and writes through the context
        if self.refused_streams:
            self.refused_streams -= 1
            return
        await context.send_initial_metadata((OPENED,))
        taken = 0
        while (request := await context.read()) is not grpc.aio.EOF:
            self.messages.append(len(request.operations))
            self.traces += [(each.operation, decoded(each.context)) for each in request.traces]
            await self.gate.wait()
            answers = [self._next(operation) for operation in request.operations]
            if "break" in answers:
                return
            if "leave" in answers:
                await self._leave(taken, context)
                return
            taken += 1
            if "hang" in answers:
                continue
            results = [_result(answer, request.inline_bytes) for answer in answers if answer != "lose"]
            await context.write(kv_pb2.ExecuteResponse(id=request.id, results=results))

    async def _leave(self, taken: int, context: Any) -> None:
        await context.write(kv_pb2.ExecuteResponse(taken=taken))
        while await context.read() is not grpc.aio.EOF:
            pass
        await self.ends_streams.wait()

    @override
    async def Get(self, request: kv_pb2.GetRequest, context: Any) -> kv_pb2.GetResponse:
        answer: kv_pb2.GetResponse = await self._unary(request, self.gets)
        return answer

    @override
    async def Scan(self, request: kv_pb2.ScanRequest, context: Any) -> kv_pb2.ScanResponse:
        answer: kv_pb2.ScanResponse = await self._unary(request, self.pages)
        return answer

    @override
    async def ScanPages(self, request: kv_pb2.ScanRequest, context: Any) -> AsyncIterator[kv_pb2.ScanResponse]:
        while True:
            response = await self._unary(request, self.pages)
            yield response
            if not response.HasField("resume_key"):
                return
            setattr(request, "end" if request.reverse else "start", response.resume_key)
            if request.total:
                request.total -= len(response.records.keys)
                request.limit = min(request.limit, request.total)
                if not request.total:
                    return

    @override
    async def BulkInsert(self, request: kv_pb2.BulkInsertRequest, context: Any) -> kv_pb2.BulkInsertResponse:
        answer: kv_pb2.BulkInsertResponse = await self._unary(request, self.bulks)
        return answer

    @override
    async def Put(self, request: kv_pb2.PutRequest, context: Any) -> kv_pb2.PutResponse:
        raise AssertionError("clients put with Execute")

    @override
    async def Delete(self, request: kv_pb2.DeleteRequest, context: Any) -> kv_pb2.DeleteResponse:
        raise AssertionError("clients delete with Execute")

    def _next(self, operation: kv_pb2.Operation) -> Given:
        self.asked.append(operation)
        script = self.scripts.get(operation.key)
        if script is None:
            return kv_pb2.OperationResult(code=grpc.StatusCode.NOT_FOUND.value[0])
        answer = script.popleft() if len(script) > 1 else script[0]
        return answer(operation) if callable(answer) else answer

    async def _unary(self, request: Any, script: "deque[Any]") -> Any:
        copy = type(request)()
        copy.CopyFrom(request)
        self.unary.append(copy)
        self.calls.append(current_trace())
        await self.gate.wait()
        answer = script.popleft() if len(script) > 1 else script[0]
        if isinstance(answer, Exception):
            raise answer
        if answer == "hang":
            await asyncio.Event().wait()
        return answer(request) if callable(answer) else answer


@asynccontextmanager
async def scripted(listen: str = "127.0.0.1:0", options: Options | None = None) -> AsyncIterator[ScriptedServer]:
    """A server, on a free port unless told otherwise, with gRPC options of its own."""
    servicer = ScriptedServer()
    server = GrpcServer(listen, options=options)
    async with listening(server, KeyValue=servicer, Topology=servicer) as servicer.address:
        servicer.owns(map_entry(1))
        try:
            yield servicer
        finally:
            servicer.gate.set()
            servicer.ends_streams.set()


def _result(answer: Given, inline_bytes: int) -> kv_pb2.OperationResult:
    if isinstance(answer, kv_pb2.OperationResult):
        size = len(answer.value)
        return answer if size <= inline_bytes else kv_pb2.OperationResult(etag=answer.etag, omitted_bytes=size)
    assert isinstance(answer, DstkError)
    status = to_status(answer)
    return kv_pb2.OperationResult(code=status.code, status=status.SerializeToString())
