"""Forwards messages of coalesced operations.

The operations of a message go to the lanes of their nodes at once, with one future each and no task. Only operations that
must be retried get a task, and for a short time only: a message is answered when all of its operations are, so each waits for
the slowest.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping
from contextlib import aclosing
from itertools import repeat
from typing import Any, cast

import grpc

from dstk.v1 import kv_pb2, records_pb2
from dstk_client.core import SETTLED, CoreClient
from dstk_client.encoding import INLINE_BYTES
from dstk_client.operation import Outcome
from dstk_client.retries import Effect
from dstk_client.types import Record
from dstk_service import requests
from dstk_service.answers import PART_BYTES, Answers
from dstk_service.errors import DstkError, InvalidArgument, NotFound
from dstk_service.execute import Parts
from dstk_service.outcomes import outcome_of_code
from dstk_service.rpc_events import KINDS, OperationKind, OperationsEnded
from dstk_service.status import to_status

HOLD_SECONDS = 0.1
"""Seconds for which the router retries a refused operation before its caller must. Reconfigurations of a partition are shorter.
Longer outages, such as a failover, must not delay the operations of other partitions in the same message.
"""

OUTCOMES_BYTES = 64 << 20
"""The most bytes of records, without large ones, that nodes have sent for messages that are not answered yet."""

KEPT_BYTES = 4 << 20
"""The most of those bytes for one message: a caller that reads slowly must not delay the others."""

_ALL_ALIKE = ""

_GET = kv_pb2.OPERATION_KIND_GET
_PUT = kv_pb2.OPERATION_KIND_PUT
_DELETE = kv_pb2.OPERATION_KIND_DELETE
_NOT_FOUND: int = grpc.StatusCode.NOT_FOUND.value[0]


class Forwarder:
    """Handles the messages of a stream. `seconds`: the timeout of an operation that names no shorter one."""

    def __init__(self, client: CoreClient, seconds: float) -> None:
        self._client = client
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._outcomes = Answers(OUTCOMES_BYTES)

    async def handle(self, request: kv_pb2.ExecuteRequest, tally: OperationsEnded) -> Parts:
        """Handles one message, as dstk_service.execute.Handle says. Large records are read one by one, for the part that
        holds them.
        """
        now = self._loop.time()
        deadlines = [now + self._allowed(operation) for operation in request.operations]
        with await self._outcomes.reserve(len(deadlines) * INLINE_BYTES, _ALL_ALIKE) as lease:
            results = await self._results(request, deadlines, _contexts(tally))
            _count(request, results, tally)
            if not request.packed:
                results = list(map(_plain, results))
            whole = kv_pb2.ExecuteResponse(id=request.id, results=results)
            lease.resize(size := whole.ByteSize())
            if size <= PART_BYTES and not _asks_for_more(request, results):
                yield whole
                return
            del whole
            lease.resize(_keep(results))
            async with aclosing(self._parts(request, results)) as parts:
                async for part in parts:
                    yield part

    async def _parts(self, request: kv_pb2.ExecuteRequest, results: list[kv_pb2.OperationResult]) -> Parts:
        """The parts of the answer. The first part, for which no room is reserved, has no large record."""
        part, room, waited = kv_pb2.ExecuteResponse(id=request.id), PART_BYTES, False
        for at, result in enumerate(results):
            large = result.omitted_bytes and not request.inline_bytes
            if room <= 0 or (large and not waited):
                part.more = waited = True
                yield part
                part, room = kv_pb2.ExecuteResponse(id=request.id), PART_BYTES
            if large:
                result = await self._whole(request, at)  # noqa: PLW2901
            part.results.append(result)
            room -= result.ByteSize()
        yield part

    async def _results(
        self, request: kv_pb2.ExecuteRequest, deadlines: list[float], contexts: Mapping[int, bytes]
    ) -> list[kv_pb2.OperationResult]:
        traces = map(contexts.get, range(len(deadlines))) if contexts else repeat(None)
        tries = list(map(self._first_try, request.operations, deadlines, traces))
        outcomes = [await each if isinstance(each, asyncio.Future) else each for each in tries]
        again = {
            at: asyncio.create_task(self._settle(request.operations[at], outcome, deadlines[at], contexts.get(at)))
            for at, outcome in enumerate(outcomes)
            if isinstance(outcome, Exception) or outcome.code not in SETTLED
        }
        for at, task in again.items():
            outcomes[at] = await task
        return cast("list[kv_pb2.OperationResult]", outcomes)

    async def _whole(self, request: kv_pb2.ExecuteRequest, at: int) -> kv_pb2.OperationResult:
        """The result of a GET of a large record. Its timeout starts now, because its turn depends on how fast the caller
        reads.
        """
        operation = request.operations[at]
        key = operation.key
        try:
            found = await self._client.raw_get(kv_pb2.GetRequest(key=key), timeout=self._allowed(operation))
        except NotFound:
            return kv_pb2.OperationResult(code=_NOT_FOUND)
        except DstkError as error:
            return _refusal(error)
        fields = fields_of(found.record)
        if request.packed:
            return kv_pb2.OperationResult(packed=Record(key, **fields).packed)
        return kv_pb2.OperationResult(**fields)

    def _allowed(self, operation: kv_pb2.Operation) -> float:
        asked = operation.timeout_ms
        return min(self._seconds, asked / 1000) if asked else self._seconds

    def _first_try(
        self, operation: kv_pb2.Operation, deadline: float, trace: bytes | None
    ) -> asyncio.Future[Outcome] | Exception:
        try:
            fields, size = _fields(operation)
            return self._client.send(fields, size, deadline, trace)
        except DstkError as error:
            return error

    async def _settle(
        self, operation: kv_pb2.Operation, first: Outcome, deadline: float, trace: bytes | None
    ) -> kv_pb2.OperationResult:
        """Retries an operation whose first attempt was refused or failed."""
        if isinstance(first, InvalidArgument):
            return _refusal(first)
        fields, size = _fields(operation)
        effect = _effect(operation)
        try:
            return await self._client.settle(fields, size, deadline, first, effect, patience=HOLD_SECONDS, trace=trace)
        except DstkError as error:
            return _refusal(error)


def _count(request: kv_pb2.ExecuteRequest, results: list[kv_pb2.OperationResult], tally: OperationsEnded) -> None:
    kinds = Counter(operation.kind for operation in request.operations)
    tally.gets, tally.puts, tally.deletes = kinds[_GET], kinds[_PUT], kinds[_DELETE]
    for operation, result in zip(request.operations, results, strict=True):
        if result.code:
            tally.fail(KINDS.get(operation.kind, OperationKind.UNKNOWN), outcome_of_code(result.code))
    for traced in tally.traced or ():
        traced.code = results[traced.at].code


def _contexts(tally: OperationsEnded) -> Mapping[int, bytes]:
    """The encoded contexts of traced operations, by their place in the message."""
    return {each.at: each.span.context.encoded() for each in tally.traced or ()}


def _fields(operation: kv_pb2.Operation) -> tuple[dict[str, Any], int]:
    """The checked fields of an operation for a lane, and its size in bytes. Raises InvalidArgument."""
    kind, key = operation.kind, operation.key
    if kind == _GET:
        requests.key(key)
        return {"kind": kind, "key": key}, len(key)
    condition, if_etag = operation.precondition, operation.if_etag
    if kind == _DELETE:
        requests.deletion(key, condition, if_etag)
        return {"kind": kind, "key": key, "precondition": condition, "if_etag": if_etag}, len(key)
    if kind != _PUT:
        raise InvalidArgument("kind", str(kind), "GET, PUT or DELETE")
    value, ttl_ms = operation.value, operation.ttl_ms
    requests.write(key, value, condition, if_etag, ttl_ms)
    fields = {"kind": kind, "key": key, "value": value, "precondition": condition, "if_etag": if_etag, "ttl_ms": ttl_ms}
    return fields, len(key) + len(value)


def _effect(operation: kv_pb2.Operation) -> Effect:
    if operation.kind == _GET:
        return Effect.READ
    return Effect.of_write(operation.precondition)


def _asks_for_more(request: kv_pb2.ExecuteRequest, results: list[kv_pb2.OperationResult]) -> bool:
    """Whether the nodes have omitted records that the caller wants in the answer."""
    return not request.inline_bytes and any(result.omitted_bytes for result in results)


def _keep(results: list[kv_pb2.OperationResult]) -> int:
    """Keeps records of KEPT_BYTES together, and drops the others, which are read again later. Returns the bytes kept."""
    kept = 0
    for at, result in enumerate(results):
        size = result.ByteSize()
        if kept + size > KEPT_BYTES and (result.packed or result.value):
            results[at] = kv_pb2.OperationResult(omitted_bytes=size)
        else:
            kept += size
    return kept


def _plain(result: kv_pb2.OperationResult) -> kv_pb2.OperationResult:
    """The result for a caller that did not ask for packed records; lanes always use the packed form."""
    return kv_pb2.OperationResult(**fields_of(Record.unpacked(b"", result.packed))) if result.packed else result


def fields_of(record: Record | records_pb2.Record | kv_pb2.OperationResult) -> dict[str, Any]:
    """The fields of a record without its key."""
    return {name: getattr(record, name) for name in ("value", "etag", "written_at_ms", "expires_at_ms")}


def _refusal(error: DstkError) -> kv_pb2.OperationResult:
    status = to_status(error)
    return kv_pb2.OperationResult(code=status.code, status=status.SerializeToString())
