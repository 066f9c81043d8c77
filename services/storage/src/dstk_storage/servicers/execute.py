"""Messages of coalesced operations: what is done, and what is answered.

All operations of a message are handled in one step of the event loop; a message with writes is answered when the disk has
them, and the next messages are read meanwhile. This is the hottest code of the node: an operation costs about 3 µs here.
"""

from collections.abc import Iterator, Sequence

import grpc

from dstk.v1 import kv_pb2
from dstk_keytypes import limits
from dstk_service import requests
from dstk_service.answers import PART_BYTES, Answers
from dstk_service.clock import Clock
from dstk_service.errors import DstkError, InvalidArgument
from dstk_service.execute import Answer, Parts
from dstk_service.outcomes import OutcomeClass, outcome_of_code
from dstk_service.rpc_events import KINDS, OperationKind, OperationsEnded, TracedOperation
from dstk_service.status import to_status
from dstk_storage.domain import layout
from dstk_storage.domain.errors import StorageError
from dstk_storage.domain.receipt import Receipt
from dstk_storage.domain.store import Store
from dstk_storage.domain.writes import Writer
from dstk_storage.ports import EngineError
from dstk_storage.servicers.failures import Failures
from dstk_storage.servicers.translate import Translator

_GET = kv_pb2.OPERATION_KIND_GET
_PUT = kv_pb2.OPERATION_KIND_PUT
_DELETE = kv_pb2.OPERATION_KIND_DELETE
_NOT_FOUND = grpc.StatusCode.NOT_FOUND.value[0]
_RESTS_ON_WRITES = {0, _NOT_FOUND, grpc.StatusCode.ALREADY_EXISTS.value[0], grpc.StatusCode.ABORTED.value[0]}
"""Outcomes of a write that are wrong when the writes before it are lost."""

_ANY = layout.HEADER_EXPIRES_BYTES + limits.MAX_VALUE_BYTES
"""No record has more bytes."""


class Lane:
    """Handles the messages of a stream."""

    def __init__(
        self, store: Store, writer: Writer, clock: Clock, translate: Translator, answers: Answers, failures: Failures
    ) -> None:
        self._store, self._writer = store, writer
        self._failures = failures
        self._clock = clock
        self._translate = translate
        self._answers = answers

    def handle(self, request: kv_pb2.ExecuteRequest, tally: OperationsEnded) -> Answer:
        """Answers a message: at once when it only reads, else when its receipt is durable; in parts when it is large."""
        room = self._answers.room
        most = request.inline_bytes or (_ANY if room == PART_BYTES else room)
        response, receipt = self._apply(request, tally, 0, room, most)
        if tally.traced is not None:
            self._trace(tally.traced, request, 0, response)
        if receipt is None and not response.more:
            return response
        return self._parts(request, tally, response, receipt)

    async def _parts(
        self,
        request: kv_pb2.ExecuteRequest,
        tally: OperationsEnded,
        response: kv_pb2.ExecuteResponse,
        receipt: Receipt | None,
    ) -> Parts:
        at = 0
        while True:
            if receipt is not None:
                response = await self._when_durable(request, tally, at, response, receipt)
                if tally.traced is not None:
                    _note_codes(tally.traced, at, response)
            at += len(response.results)
            yield response
            if not response.more:
                return
            response, receipt = self._apply(request, tally, at, PART_BYTES, request.inline_bytes or _ANY)
            if tally.traced is not None:
                self._trace(tally.traced, request, at, response)

    async def _when_durable(
        self,
        request: kv_pb2.ExecuteRequest,
        tally: OperationsEnded,
        at: int,
        response: kv_pb2.ExecuteResponse,
        receipt: Receipt,
    ) -> kv_pb2.ExecuteResponse:
        try:
            await receipt.durable()
        except StorageError as error:
            return self._undo(request, tally, at, response, error)
        return response

    def _apply(  # noqa: C901 - the hottest loop of the node, in one piece
        self, request: kv_pb2.ExecuteRequest, tally: OperationsEnded, at: int, room: int, most: int
    ) -> tuple[kv_pb2.ExecuteResponse, Receipt | None]:
        """Handles the operations from number `at` on, until their results take `room` bytes, and gives what they must wait for
        before they are answered; None: nothing. A record of more than `most` bytes is left out, or ends the part where it may
        not be.
        """
        response = kv_pb2.ExecuteResponse(id=request.id)
        results, operations = response.results, request.operations
        add = results.add
        get, packed = self._store.get_encoded, request.packed
        now_ms = self._clock.now_ms()
        receipt, writes = None, 0
        for operation in operations[at:] if at else operations:
            kind = operation.kind
            try:
                if kind == _GET:
                    key = operation.key
                    if not 0 < len(key) <= limits.MAX_KEY_BYTES:
                        requests.key(key)
                    raw = get(key, operation.epoch, now_ms)
                    if raw is None:
                        add(code=_NOT_FOUND)
                        continue
                    size = len(raw)
                    if size > most:
                        if not request.inline_bytes:
                            break
                        add(omitted_bytes=size)
                        continue
                    if packed:
                        add(packed=raw)
                    else:
                        add(**layout.decode_record(raw)._asdict())
                    room -= size
                else:
                    writes += 1
                    receipt = receipt or Receipt()
                    add(etag=self._write(operation, now_ms, receipt, tally))
            except (DstkError, StorageError, EngineError) as error:
                room -= self._refuse(add(), operation, error, tally)
            if room <= 0:
                break
        done = len(results)
        if at + done < len(operations):
            response.more = True
        tally.gets += done - writes
        return response, None if receipt is None or receipt.is_empty else receipt

    def _trace(
        self,
        traced: Sequence[TracedOperation],
        request: kv_pb2.ExecuteRequest,
        at: int,
        response: kv_pb2.ExecuteResponse,
    ) -> None:
        """Notes what became of traced operations, of which the answer has those from number `at` on, and makes the batches of
        their writes part of their traces. To be called in the step that has handled them.
        """
        _note_codes(traced, at, response)
        for operation, result in _answered(traced, at, response):
            key = request.operations[operation.at].key
            holder = self._store.table.holder(key)
            operation.partition = None if holder is None else holder.id
            if operation.kind.is_write and result.etag:
                operation.batch = self._writer.trace(key, result.etag, operation.span.context)

    def _write(self, operation: kv_pb2.Operation, now_ms: int, receipt: Receipt, tally: OperationsEnded) -> int:
        kind, key, condition, if_etag = operation.kind, operation.key, operation.precondition, operation.if_etag
        if kind == _PUT:
            tally.puts += 1
            value, ttl_ms = operation.value, operation.ttl_ms
            requests.write(key, value, condition, if_etag, ttl_ms)
            return self._writer.put(key, value, condition, if_etag, ttl_ms, operation.epoch, now_ms, receipt)
        if kind == _DELETE:
            tally.deletes += 1
            requests.deletion(key, condition, if_etag)
            return self._writer.delete(key, condition, if_etag, operation.epoch, now_ms, receipt)
        raise InvalidArgument("kind", str(kind), "GET, PUT or DELETE")

    def _refuse(
        self,
        result: kv_pb2.OperationResult,
        operation: kv_pb2.Operation,
        error: DstkError | StorageError | EngineError,
        tally: OperationsEnded | None,
    ) -> int:
        """Fills in a refusal, and returns its size. `tally` None: the operation was counted as failed before."""
        ours = error if isinstance(error, DstkError) else self._translate(error)
        if tally is not None:
            kind = KINDS.get(operation.kind, OperationKind.UNKNOWN)
            tally.fail(kind, self._failures.note(kind, operation.key, ours))
        status = to_status(ours)
        result.code = status.code
        result.status = status.SerializeToString()
        return len(result.status)

    def _undo(
        self,
        request: kv_pb2.ExecuteRequest,
        tally: OperationsEnded,
        at: int,
        response: kv_pb2.ExecuteResponse,
        error: StorageError,
    ) -> kv_pb2.ExecuteResponse:
        """The answer where writes did not reach the disk: the reads stand, the writes failed."""
        undone = kv_pb2.ExecuteResponse(id=response.id, more=response.more)
        for operation, result in zip(request.operations[at:], response.results, strict=False):
            if operation.kind == _GET or result.code not in _RESTS_ON_WRITES:
                undone.results.append(result)
            else:
                is_counted = outcome_of_code(result.code) is not OutcomeClass.OK
                self._refuse(undone.results.add(), operation, error, None if is_counted else tally)
        return undone


def _answered(
    traced: Sequence[TracedOperation], at: int, response: kv_pb2.ExecuteResponse
) -> Iterator[tuple[TracedOperation, kv_pb2.OperationResult]]:
    """The traced operations whose results are in the answer, which begins with that of number `at`."""
    results = response.results
    return ((each, results[each.at - at]) for each in traced if at <= each.at < at + len(results))


def _note_codes(traced: Sequence[TracedOperation], at: int, response: kv_pb2.ExecuteResponse) -> None:
    for operation, result in _answered(traced, at, response):
        operation.code = result.code
