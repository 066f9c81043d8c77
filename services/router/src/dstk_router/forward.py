"""Messages of coalesced operations through the router: a message's operations go to the lanes of their nodes at once, with one
future each and no task; only those that must be tried again get a task, and that for a moment: a message is answered whole, so
that each of its operations waits for the slowest.
"""

import asyncio
from typing import Any, cast

from dstk.v1 import kv_pb2
from dstk_client.core import SETTLED, CoreClient
from dstk_client.operation import Outcome
from dstk_client.retries import Effect
from dstk_client.types import Record
from dstk_service import requests
from dstk_service.errors import DstkError, InvalidArgument
from dstk_service.status import to_status

HOLD_SECONDS = 0.1
"""How long a refused operation is tried again here, before its caller is told to do so. Planned changes of a partition are
over by then. What takes longer, as a takeover does, must not hold up the operations of other partitions in the same message.
"""

_GET = kv_pb2.OPERATION_KIND_GET
_PUT = kv_pb2.OPERATION_KIND_PUT
_DELETE = kv_pb2.OPERATION_KIND_DELETE


class Forwarder:
    """Handles the messages of a stream. `seconds`: what an operation may take that names no shorter time."""

    def __init__(self, client: CoreClient, seconds: float) -> None:
        self._client = client
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()

    async def handle(self, request: kv_pb2.ExecuteRequest) -> kv_pb2.ExecuteResponse:
        """See dstk_service.execute.Handle."""
        response = kv_pb2.ExecuteResponse(id=request.id)
        now = self._loop.time()
        deadlines = [now + self._allowed(operation) for operation in request.operations]
        tries = list(map(self._first_try, request.operations, deadlines))
        outcomes = [await each if isinstance(each, asyncio.Future) else each for each in tries]
        again = {
            at: asyncio.create_task(self._settle(request.operations[at], outcome, deadlines[at]))
            for at, outcome in enumerate(outcomes)
            if isinstance(outcome, Exception) or outcome.code not in SETTLED
        }
        for at, task in again.items():
            outcomes[at] = await task
        if not request.packed:
            outcomes = list(map(_plain, cast("list[kv_pb2.OperationResult]", outcomes)))
        response.results.extend(cast("list[kv_pb2.OperationResult]", outcomes))
        return response

    def _allowed(self, operation: kv_pb2.Operation) -> float:
        asked = operation.timeout_ms
        return min(self._seconds, asked / 1000) if asked else self._seconds

    def _first_try(self, operation: kv_pb2.Operation, deadline: float) -> asyncio.Future[Outcome] | Exception:
        try:
            fields, size = _fields(operation)
            return self._client.send(fields, size, deadline)
        except DstkError as error:
            return error

    async def _settle(self, operation: kv_pb2.Operation, first: Outcome, deadline: float) -> kv_pb2.OperationResult:
        """Goes on with an operation whose first try was refused or failed."""
        if isinstance(first, InvalidArgument):
            return _refusal(first)
        fields, size = _fields(operation)
        effect = _effect(operation)
        try:
            return await self._client.settle(fields, size, deadline, first, effect, patience=HOLD_SECONDS)
        except DstkError as error:
            return _refusal(error)


def _fields(operation: kv_pb2.Operation) -> tuple[dict[str, Any], int]:
    """The operation for a lane, checked. Raises InvalidArgument."""
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


def _plain(result: kv_pb2.OperationResult) -> kv_pb2.OperationResult:
    """The result for a caller that did not ask for packed records; between client and nodes they always are."""
    if not result.packed:
        return result
    record = Record.unpacked(b"", result.packed)
    return kv_pb2.OperationResult(
        value=record.value, etag=record.etag, written_at_ms=record.written_at_ms, expires_at_ms=record.expires_at_ms
    )


def _refusal(error: DstkError) -> kv_pb2.OperationResult:
    status = to_status(error)
    return kv_pb2.OperationResult(code=status.code, status=status.SerializeToString())
