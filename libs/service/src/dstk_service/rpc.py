"""How a call ends, measured: from what its handler raises to the event that observers are told. Follows the caller's trace."""

import asyncio
import time
from collections.abc import Callable
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Final, Self

import grpc

from dstk_service import trace
from dstk_service.errors import DstkError
from dstk_service.observe import Observer
from dstk_service.outcomes import outcome_of_code
from dstk_service.rpc_events import RpcEnded
from dstk_service.status import code_of
from dstk_service.trace import NEVER, Sampler, TraceContext

_CODES: Final[dict[int, grpc.StatusCode]] = {code.value[0]: code for code in grpc.StatusCode}


_BEGINNING: Final = {"dstk.v1.KeyValue", "dstk.v1.Admin", "dstk.v1.Metrics"}
"""Services whose calls may begin a trace. Heartbeats and health checks would fill the collector and tell nothing."""


class RpcMeter:
    """Makes an `Rpc` for each call of one method. `name`: "/dstk.v1.KeyValue/Get". `sampler`: which calls without a context
    begin a trace. A stream begins none: it is open for hours.
    """

    def __init__(
        self,
        name: str,
        observer: Observer,
        *,
        streaming: bool,
        monotonic: Callable[[], float] = time.monotonic,
        sampler: Sampler = NEVER,
    ) -> None:
        _, self.service, self.method = name.split("/")
        self.observer, self.streaming, self.monotonic = observer, streaming, monotonic
        self.sampler = sampler if self.service in _BEGINNING and not streaming else NEVER

    def call(self, context: Any, request_bytes: int = 0, caller: TraceContext | None = None) -> "Rpc":
        """A context manager for the time in which the handler runs. `caller`: the trace context that came with the call."""
        return Rpc(self, context, request_bytes, caller)


class Rpc:
    """One call. Its handler runs inside this context manager, which lets every exception pass. If the call is traced, its
    context is the current one.
    """

    __slots__ = ("_begun", "_context", "_meter", "_request_bytes", "_span", "_tracing", "response_bytes")

    def __init__(self, meter: RpcMeter, context: Any, request_bytes: int, caller: TraceContext | None) -> None:
        self._meter, self._context, self._request_bytes = meter, context, request_bytes
        self._begun = meter.monotonic()
        with trace.within(caller):
            self._span = trace.begin(meter.sampler, self._begun)
        self._tracing: ExitStack | None = None
        self.response_bytes = 0
        """Set by whoever serializes the answer."""

    def __enter__(self) -> Self:
        if self._span is not None:
            self._tracing = ExitStack()
            self._tracing.enter_context(trace.within(self._span.context))
        return self

    def __exit__(
        self, _: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        if self._tracing is not None:
            self._tracing.close()
        meter, code = self._meter, self._code(error)
        seconds = meter.monotonic() - self._begun
        outcome, sizes = outcome_of_code(code.value[0]), (self._request_bytes, self.response_bytes)
        event = RpcEnded(meter.service, meter.method, code.name, outcome, seconds, meter.streaming, *sizes, self._span)
        meter.observer.observe(event)

    def _code(self, error: BaseException | None) -> grpc.StatusCode:
        match error:
            case None:
                return grpc.StatusCode.OK
            case DstkError():
                return code_of(error)
            case grpc.aio.AbortError():
                return _as_code(self._context.code())
            case asyncio.CancelledError() | grpc.aio.InternalError():
                return grpc.StatusCode.CANCELLED
        return grpc.StatusCode.INTERNAL


def _as_code(code: Any) -> grpc.StatusCode:
    """What a handler of gRPC's own has given to its context: a code, or its number."""
    return code if isinstance(code, grpc.StatusCode) else _CODES.get(code, grpc.StatusCode.UNKNOWN)
