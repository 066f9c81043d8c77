"""The client itself: routes each operation, sends it, tries again where that is safe."""

import asyncio
import math
import random
from collections.abc import Awaitable, Callable, Sequence
from itertools import repeat
from typing import Any

import grpc
from google.rpc import status_pb2

from dstk.v1 import kv_pb2, records_pb2
from dstk_client.lane import CLOSED
from dstk_client.nodes import Locator, Target, ThickLocator
from dstk_client.operation import UNREADABLE, Ambiguous, ClientClosed, Outcome, Unsent
from dstk_client.pages import Pages
from dstk_client.retries import LEAST_SECONDS, Attempts, Effect, of_call
from dstk_client.scan import Scan
from dstk_client.types import BulkResult, BulkStop, Page, Record
from dstk_keytypes import Etag, Key, KeyRange, Ttl
from dstk_service import requests
from dstk_service.cancellation import Cancellation
from dstk_service.context import Context
from dstk_service.errors import InvalidArgument, NotOwner, NotServing, Overloaded, WriteAmbiguous
from dstk_service.outgoing import check_sendable
from dstk_service.status import from_status

_GET = kv_pb2.OPERATION_KIND_GET
_PUT = kv_pb2.OPERATION_KIND_PUT
_DELETE = kv_pb2.OPERATION_KIND_DELETE
_IF_ABSENT = records_pb2.PRECONDITION_IF_ABSENT
_IF_ETAG = records_pb2.PRECONDITION_IF_ETAG
_NOT_FOUND: int = grpc.StatusCode.NOT_FOUND.value[0]
SETTLED = {0, _NOT_FOUND}
"""Codes that end an operation."""


ROUTER_SHARE = 0.9
"""Of the time that is left, what a router may use up: its answer, which says what is wrong, must still arrive."""


class CoreClient:
    """See types.Client. `timeout`: seconds for a call that names none."""

    def __init__(self, locator: Locator, timeout: float, chance: random.Random | None = None) -> None:
        self._locator = locator
        self._timeout = timeout
        self.chance = chance or random.Random()  # noqa: S311 - jitter
        self._context = Context()
        self._loop = self._context.loop

    async def get(self, key: Key, *, timeout: float | None = None) -> Record | None:
        """See Client."""
        requests.key(key)
        fields: dict[str, Any] = {"kind": _GET, "key": key}
        deadline = self._deadline(timeout)
        result = await self.send(fields, len(key), deadline)
        if isinstance(result, Exception) or result.code not in SETTLED:
            result = await self.settle(fields, len(key), deadline, result, Effect.READ)
        if result.code == _NOT_FOUND:
            return None
        if result.packed:
            return Record.unpacked(key, result.packed)
        return Record(key, result.value, result.etag, result.written_at_ms, result.expires_at_ms)

    async def put(
        self,
        key: Key,
        value: bytes,
        *,
        if_absent: bool = False,
        if_etag: int | None = None,
        ttl: Ttl | None = None,
        timeout: float | None = None,
    ) -> Etag:
        """See Client."""
        fields: dict[str, Any] = {"kind": _PUT, "key": key, "value": value}
        effect = _condition(fields, if_absent=if_absent, if_etag=if_etag)
        if ttl is not None:
            fields["ttl_ms"] = int(ttl)
        requests.write(key, value, fields.get("precondition", 0), if_etag or 0, fields.get("ttl_ms", 0))
        size, deadline = len(key) + len(value), self._deadline(timeout)
        result = await self.send(fields, size, deadline)
        if isinstance(result, Exception) or result.code not in SETTLED:
            result = await self.settle(fields, size, deadline, result, effect)
        return Etag(result.etag)

    async def delete(self, key: Key, *, if_etag: int | None = None, timeout: float | None = None) -> bool:
        """See Client."""
        fields: dict[str, Any] = {"kind": _DELETE, "key": key}
        effect = _condition(fields, if_absent=False, if_etag=if_etag)
        requests.deletion(key, fields.get("precondition", 0), if_etag or 0)
        result = await self.execute(fields, len(key), timeout, effect)
        return result.code == 0

    def scan(
        self, key_range: KeyRange, *, limit: int | None = None, reverse: bool = False, page_size: int = 2000
    ) -> Scan:
        """See Client."""
        return Scan(self, key_range, limit=limit, reverse=reverse, page_size=page_size)

    async def scan_page(
        self, key_range: KeyRange, limit: int, *, reverse: bool = False, timeout: float | None = None
    ) -> Page:
        """See Client."""
        request = kv_pb2.ScanRequest(start=key_range.start, end=key_range.end or b"", limit=limit, reverse=reverse)
        request.packed = True
        requests.scan(request)
        response = await self.raw_page(request, timeout=timeout)
        resume = response.resume_key if response.HasField("resume_key") else None
        return Page(to_records(response.records), resume)

    async def raw_page(self, request: kv_pb2.ScanRequest, *, timeout: float | None = None) -> kv_pb2.ScanResponse:
        """A page as it goes over the wire; the request's epoch is set here."""

        def call(target: Target, remaining: float) -> Any:
            request.epoch = target.epoch
            return target.node.keyvalue.Scan(request, timeout=remaining)

        response: kv_pb2.ScanResponse = await self._unary(
            lambda: self.locate_scan(request), call, timeout, effect=Effect.READ
        )
        return response

    def raw_pages(self, request: kv_pb2.ScanRequest, *, timeout: float | None = None) -> Pages:
        """All pages of a range as they come over the wire; `timeout`: for each."""
        return Pages(self, request, self._timeout if timeout is None else timeout)

    def locate_scan(self, request: kv_pb2.ScanRequest) -> Target:
        """Where to read the next page. Raises NotServing."""
        locator = self._locator
        return locator.locate_below(request.end) if request.reverse else locator.locate(request.start)

    async def bulk_insert(
        self,
        records: Sequence[tuple[Key, bytes]],
        *,
        ttl: Ttl | None = None,
        expires_at_ms: Sequence[int] = (),
        if_absent: bool = False,
        timeout: float | None = None,
    ) -> BulkResult:
        """See Client."""
        keys, values = zip(*records, strict=True) if records else ((), ())
        request = kv_pb2.BulkInsertRequest(
            keys=keys,
            values=values,
            ttl_ms=0 if ttl is None else int(ttl),
            if_absent=if_absent,
            expires_at_ms=expires_at_ms,
        )
        if not keys:  # all else the server checks: doing it twice would take a quarter of the client's time
            requests.bulk_insert(request)
        response = await self.raw_bulk_insert(request, timeout=timeout)
        return BulkResult(response.inserted, list(response.etags), BulkStop(response.stop), response.current_etag)

    async def raw_bulk_insert(
        self, request: kv_pb2.BulkInsertRequest, *, timeout: float | None = None
    ) -> kv_pb2.BulkInsertResponse:
        """A bulk insert as it goes over the wire; its epoch is set here."""
        first = request.keys[0]

        def call(target: Target, remaining: float) -> Any:
            request.epoch = target.epoch
            return target.node.keyvalue.BulkInsert(request, timeout=remaining)

        try:
            response: kv_pb2.BulkInsertResponse = await self._unary(
                lambda: self._locator.locate(first), call, timeout, effect=Effect.BLIND
            )
        except WriteAmbiguous:
            check_sendable(
                request
            )  # to know its size takes a third of the time that it takes to make it: not every time
            raise
        return response

    def send(self, fields: dict[str, Any], size: int, deadline: float) -> "asyncio.Future[Outcome]":
        """Queues one try of an operation, whose outcome may also be NotServing or Overloaded."""
        future: asyncio.Future[Outcome] = self._loop.create_future()
        try:
            lane, epoch = self._locator.lane(fields["key"])
            if epoch:
                fields["epoch"] = epoch
            else:
                fields["timeout_ms"] = max(1, int((deadline - self._loop.time()) * ROUTER_SHARE * 1000))
            lane.send((future, deadline, size, fields))
        except (NotServing, Overloaded, ClientClosed) as refusal:
            future.set_result(refusal)
        return future

    async def execute(
        self, fields: dict[str, Any], size: int, timeout: float | None, effect: Effect
    ) -> kv_pb2.OperationResult:
        """Sends an operation until it is settled: code 0 or NOT_FOUND. Raises DstkError.

        `get` and `put` make the first try themselves, since one more coroutine costs 0.25 µs an operation.
        """
        deadline = self._deadline(timeout)
        return await self.settle(fields, size, deadline, await self.send(fields, size, deadline), effect)

    async def settle(
        self,
        fields: dict[str, Any],
        size: int,
        deadline: float,
        outcome: Outcome,
        effect: Effect,
        *,
        patience: float = math.inf,
    ) -> kv_pb2.OperationResult:
        """Goes on after a first try with that outcome. Raises DstkError. `patience`: after so many seconds it is not tried
        again, but a try that is under way is waited for.
        """
        attempts = Attempts(effect, min(deadline, self._loop.time() + patience + LEAST_SECONDS), self.chance)
        while True:
            if not isinstance(outcome, Exception):
                if outcome.code in SETTLED:
                    return outcome
                outcome = from_status(status_pb2.Status.FromString(outcome.status))
            await self.pause(attempts, outcome)
            outcome = await self.send(fields, size, deadline)

    def check_context(self) -> None:
        """Raises WrongContext outside of the client's event loop and process. Before anything else is done: a lane that another
        loop opens would belong to that one.
        """
        self._context.check("this client")

    def _deadline(self, timeout: float | None) -> float:
        """When a call that begins now must end, on the loop's clock. Raises WrongContext."""
        self.check_context()
        return self._loop.time() + (self._timeout if timeout is None else timeout)

    async def _unary(
        self,
        locate: Callable[[], Target],
        call: Callable[[Target, float], Awaitable[Any]],
        timeout: float | None,
        *,
        effect: Effect,
    ) -> Any:
        deadline = self._deadline(timeout)
        attempts, cancellation = Attempts(effect, deadline, self.chance), Cancellation()
        while True:
            try:
                target = locate()
                await target.node.connected(deadline)  # else a call that fails might have been sent, or might not
                answer = await call(target, deadline - self._loop.time())
                if cancellation.requested:
                    raise asyncio.CancelledError
                if answer is not None:
                    return answer
                error: Exception = Ambiguous(UNREADABLE)
            except (grpc.aio.AioRpcError, NotServing, Unsent, ClientClosed) as problem:
                error = problem
            except asyncio.CancelledError:
                if not target.node.lane.closed or cancellation.requested:
                    raise
                error = Ambiguous(CLOSED)  # how gRPC ends the calls of a channel that is closed
            await self.pause(attempts, error)

    async def pause(self, attempts: Attempts, error: Exception) -> None:
        """Waits until the call that failed may be tried again. Raises what the caller must see when it may not."""
        if isinstance(error, grpc.aio.AioRpcError):
            error = of_call(error)
        if isinstance(error, NotOwner) and error.partition is not None and isinstance(self._locator, ThickLocator):
            self._locator.topology.heal(error.partition, error.address)
        pause = attempts.pause_after(error, self._loop.time())
        if pause:
            await self._locator.changed(pause)


def to_records(batch: records_pb2.RecordBatch) -> list[Record]:
    """A batch as records, whichever of the two forms it has."""
    if batch.packed:
        return Record.all_unpacked(batch.keys, batch.packed)
    expires = batch.expires_at_ms or repeat(0)
    return list(map(Record, batch.keys, batch.values, batch.etags, batch.written_at_ms, expires))


def _condition(fields: dict[str, Any], *, if_absent: bool, if_etag: int | None) -> Effect:
    if if_absent:
        if if_etag is not None:
            raise InvalidArgument("if_absent", f"True, with if_etag {if_etag}", "given without if_etag: choose one")
        fields["precondition"] = _IF_ABSENT
    if if_etag is not None:
        fields["precondition"] = _IF_ETAG
        fields["if_etag"] = if_etag
    return Effect.of_write(fields.get("precondition", 0))
