"""The client's core: routes each operation, sends it, and retries where that is safe."""

import asyncio
import math
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
from google.rpc import status_pb2

from dstk.v1 import kv_pb2
from dstk_client.events import AttemptRetried, CallAnswered, CallFailed, OperationEnded, RouteLearned
from dstk_client.locating import Locator, Target, ThickLocator
from dstk_client.nodes import Node
from dstk_client.operation import CLOSED, GIVEN_UP, UNREADABLE, Ambiguous, ClientClosed, Outcome, Unsent
from dstk_client.pages import Pages
from dstk_client.patience import Patience
from dstk_client.retries import LEAST_SECONDS, Attempts, Effect, of_call, reason_of
from dstk_client.scan_trace import ScanTrace
from dstk_service.cancellation import Cancellation
from dstk_service.context import Context
from dstk_service.errors import DstkError, NotOwner, NotServing, Overloaded, WriteAmbiguous
from dstk_service.observe import NULL, Observer
from dstk_service.outgoing import check_sendable
from dstk_service.rpc_events import KINDS
from dstk_service.status import from_status
from dstk_service.trace import NEVER, Sampler, Span, begin, outgoing, within

_NOT_FOUND: int = grpc.StatusCode.NOT_FOUND.value[0]
SETTLED = {0, _NOT_FOUND}
"""Codes that end an operation."""


_THIS = "this client"

ROUTER_SHARE = 0.9
"""The part of the remaining time that a router may use: its answer, which says what is wrong, must still arrive."""


class CoreClient:
    """Routes and sends what Client has checked. `timeout`: seconds for a call that names none. `sampler`: which calls begin a
    trace; NEVER: none does, but those within a trace are part of it.
    """

    def __init__(
        self,
        locator: Locator,
        timeout: float,
        rng: random.Random | None = None,
        observer: Observer = NULL,
        sampler: Sampler = NEVER,
    ) -> None:
        self._locator, self._observer, self._sampler = locator, observer, sampler
        self.is_tracing = sampler is not NEVER
        """Whether single operations may be traced: to ask whether one is takes 0.1 µs."""
        self.timeout = timeout
        self.rng = rng or random.Random()  # noqa: S311 - jitter
        self._context = Context()
        self._loop = self._context.loop
        self.closed = False
        """Set when the locator is closed: calls that would send nothing then fail like all others."""

    async def raw_get(self, request: kv_pb2.GetRequest, *, timeout: float | None = None) -> kv_pb2.GetResponse:
        """Reads one record with a unary call instead of a lane; sets the request's epoch. Raises NotFound."""

        def call(target: Target, remaining: float) -> Any:
            request.epoch = target.epoch
            return target.node.keyvalue.Get(request, timeout=remaining, metadata=outgoing())

        response: kv_pb2.GetResponse = await self._unary(
            lambda: self._locator.locate(request.key), call, timeout, method="Get", effect=Effect.READ
        )
        return response

    async def raw_page(self, request: kv_pb2.ScanRequest, *, timeout: float | None = None) -> kv_pb2.ScanResponse:
        """One page of a scan, in protobuf; sets the request's epoch."""

        def call(target: Target, remaining: float) -> Any:
            request.epoch = target.epoch
            return target.node.keyvalue.Scan(request, timeout=remaining, metadata=outgoing())

        response: kv_pb2.ScanResponse = await self._unary(
            lambda: self.locate_scan(request), call, timeout, method="Scan", effect=Effect.READ
        )
        return response

    def raw_pages(self, request: kv_pb2.ScanRequest, *, timeout: float | None = None) -> Pages:
        """All pages of a range, in protobuf; `timeout`: seconds for each."""
        return Pages(self, request, self.timeout if timeout is None else timeout)

    def locate_scan(self, request: kv_pb2.ScanRequest) -> Target:
        """Where to read the next page. Raises NotServing."""
        locator = self._locator
        return locator.locate_below(request.end) if request.reverse else locator.locate(request.start)

    async def raw_bulk_insert(
        self, request: kv_pb2.BulkInsertRequest, *, timeout: float | None = None
    ) -> kv_pb2.BulkInsertResponse:
        """One bulk insert, in protobuf; sets its epoch."""
        first = request.keys[0]

        def call(target: Target, remaining: float) -> Any:
            request.epoch = target.epoch
            return target.node.keyvalue.BulkInsert(request, timeout=remaining, metadata=outgoing())

        try:
            response: kv_pb2.BulkInsertResponse = await self._unary(
                lambda: self._locator.locate(first), call, timeout, method="BulkInsert", effect=Effect.BLIND
            )
        except WriteAmbiguous:
            check_sendable(
                request
            )  # to know its size takes a third of the time that it takes to make it: not every time
            raise
        return response

    def send(
        self, fields: dict[str, Any], size: int, deadline: float, trace: bytes | None = None
    ) -> "asyncio.Future[Outcome]":
        """Queues one attempt of an operation; its outcome may also be NotServing or Overloaded. `trace`: its context."""
        future: asyncio.Future[Outcome] = self._loop.create_future()
        try:
            lane, epoch = self._locator.lane(fields["key"])
            if epoch:
                fields["epoch"] = epoch
            else:
                fields["timeout_ms"] = max(1, int((deadline - self._loop.time()) * ROUTER_SHARE * 1000))
            lane.send((future, deadline, size, fields, trace))
        except (NotServing, Overloaded, ClientClosed) as refusal:
            future.set_result(refusal)
        return future

    async def execute(
        self, fields: dict[str, Any], size: int, deadline: float, effect: Effect
    ) -> kv_pb2.OperationResult:
        """Sends an operation until it is settled: code 0 or NOT_FOUND. Raises DstkError.

        `get` and `put` of Client make the first attempt themselves, since one more coroutine costs 0.25 µs an operation.
        """
        if (span := self.begin()) is not None:
            return await self.traced(span, fields, size, deadline, effect)
        return await self.settle(fields, size, deadline, await self.send(fields, size, deadline), effect)

    def begin(self) -> Span | None:
        """The span of an operation or a call that begins now; None: it is not traced."""
        return begin(self._sampler)

    def scan_trace(self) -> ScanTrace:
        """The spans of a scan that begins now."""
        return ScanTrace(self.begin(), self._observer)

    async def traced(
        self, span: Span, fields: dict[str, Any], size: int, deadline: float, effect: Effect
    ) -> kv_pb2.OperationResult:
        """As `execute`, for an operation that is traced."""
        with self.told(span, fields["kind"]) as context:
            first = await self.send(fields, size, deadline, context)
            return await self.settle(fields, size, deadline, first, effect, trace=context)

    @contextmanager
    def told(self, span: Span | None, kind: int) -> Iterator[bytes | None]:
        """The block is an operation of this kind, a number of the proto enum, and the observer is told how it ended. Yields
        what `send` takes. None: it is not traced.
        """
        if span is None:
            yield None
            return
        failure = ""
        try:
            yield span.context.encoded()
        except DstkError as error:
            failure = error.reason
            raise
        finally:
            self._observer.observe(OperationEnded(KINDS[kind], span, time.monotonic() - span.begun, failure))

    async def settle(
        self,
        fields: dict[str, Any],
        size: int,
        deadline: float,
        outcome: Outcome,
        effect: Effect,
        *,
        patience: float = math.inf,
        trace: bytes | None = None,
    ) -> kv_pb2.OperationResult:
        """Retries an operation after a first attempt with this outcome. Raises DstkError. `patience`: seconds after which no
        new attempt starts; an attempt in progress is waited for.
        """
        attempts = Attempts(effect, min(deadline, self._loop.time() + patience + LEAST_SECONDS), self.rng)
        while True:
            if not isinstance(outcome, Exception):
                if outcome.code in SETTLED:
                    return outcome
                outcome = from_status(status_pb2.Status.FromString(outcome.status))
            await self.pause(attempts, outcome)
            outcome = await self.send(fields, size, deadline, trace)

    def check_usable(self) -> None:
        """Raises WrongContext outside of the client's event loop and process, ClientClosed after `close`. Every call checks
        this first: a lane that another loop opens would belong to that loop.
        """
        self.deadline(None)

    def deadline(self, timeout: float | None) -> float:
        """When a call that begins now must end, on the loop's clock. Raises what check_usable raises."""
        self._context.check(_THIS)
        if self.closed:
            raise ClientClosed(CLOSED)
        return self._loop.time() + (self.timeout if timeout is None else timeout)

    async def _unary(
        self,
        locate: Callable[[], Target],
        call: Callable[[Target, float], Awaitable[Any]],
        timeout: float | None,
        *,
        method: str,
        effect: Effect,
    ) -> Any:
        deadline, span = self.deadline(timeout), self.begin()
        attempts = Attempts(effect, deadline, self.rng, method=method, span=span)
        with within(None if span is None else span.context):
            return await self._attempt(locate, call, attempts)

    async def _attempt(
        self, locate: Callable[[], Target], call: Callable[[Target, float], Awaitable[Any]], attempts: Attempts
    ) -> Any:
        """Calls until there is an answer. Raises the caller's error when there is none."""
        deadline, begun, cancellation = attempts.deadline, self._loop.time(), Cancellation()
        while True:
            try:
                target = locate()
                with target.node.in_use():
                    await target.node.connected(deadline)  # otherwise a failed call may or may not have been sent
                    under_way = call(target, deadline - self._loop.time())
                    with self.patience(under_way, target.node, locate) as patience:
                        answer = await under_way
                if cancellation.requested:
                    raise asyncio.CancelledError
                if answer is not None:
                    seconds = self._loop.time() - begun
                    self._observer.observe(CallAnswered(attempts.method, attempts.count + 1, seconds, attempts.span))
                    return answer
                error: Exception = Ambiguous(UNREADABLE)
            except (grpc.aio.AioRpcError, NotServing, Unsent, ClientClosed) as problem:
                error = problem
            except asyncio.CancelledError:
                if cancellation.requested or not (target.node.lane.closed or patience.lost):
                    raise
                error = Ambiguous(GIVEN_UP if patience.lost else CLOSED)  # how gRPC ends the calls of a closed channel
            await self.pause(attempts, error)

    def patience(self, call: Any, node: Node, locate: Callable[[], Target]) -> Patience:
        """A context manager that cancels a call to the node when another node has taken over."""
        return Patience(call, lambda: self._locator.gave_up(node, locate), self._locator.grace)

    async def pause(self, attempts: Attempts, error: Exception) -> None:
        """Waits until the failed call may be retried. Raises the caller's error when it may not."""
        if isinstance(error, grpc.aio.AioRpcError):
            error = of_call(error)
        if isinstance(error, NotOwner):
            self._learn(error)
        try:
            pause = attempts.pause_after(error, self._loop.time())
        except DstkError as failure:
            self._observer.observe(CallFailed(reason_of(failure), attempts.count, attempts.method, attempts.span))
            raise
        self._observer.observe(AttemptRetried(reason_of(error), pause))
        if pause:
            await self._locator.changed(pause)

    def _learn(self, error: NotOwner) -> None:
        entry, locator = error.partition, self._locator
        if entry is not None and isinstance(locator, ThickLocator) and locator.topology.heal(entry, error.address):
            self._observer.observe(RouteLearned(entry.id, entry.epoch, entry.primary))
