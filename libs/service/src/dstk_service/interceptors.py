"""Interceptors of every handler: they turn errors into statuses, measure calls, and guard services by a token.

A handler is wrapped once for each method, not for each call: gRPC asks an interceptor for the handler on every call, and
wrapping it each time would call four of our functions.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

import grpc
from grpc_status import rpc_status
from typing_extensions import override

from dstk_service import incoming, trace
from dstk_service.answers import SMALL_BYTES, Answers
from dstk_service.drain import Drain
from dstk_service.errors import DstkError
from dstk_service.observe import NULL, Observer
from dstk_service.outgoing import serialized
from dstk_service.rpc import RpcMeter
from dstk_service.status import internal, to_status
from dstk_service.streams import OpenStreams
from dstk_service.trace import NEVER, Sampler, TraceContext

Handler = Any
"""grpc.RpcMethodHandler, which has no types."""
Context = Any
"""grpc.aio.ServicerContext, likewise."""
Continuation = Callable[[Any], Awaitable[Handler]]
Behaviour = Callable[[Any, Context], Awaitable[Any]]

_PASSED_ON = (grpc.aio.AbortError, grpc.aio.UsageError)
"""gRPC's own."""


class ErrorInterceptor(grpc.aio.ServerInterceptor):
    """Turns exceptions of handlers into statuses, through the one table (status.py); ends streams of answers at a drain; counts
    what waits for callers (answers.py); follows traces, and tells the observer how each call ended (rpc.py).
    """

    def __init__(self, drain: Drain, answers: Answers, observer: Observer = NULL, sampler: Sampler = NEVER) -> None:
        self._drain = drain
        self._answers = answers
        self._observer, self._sampler = observer, sampler
        self._streams = OpenStreams()
        self._wrapped: dict[str, Handler | None] = {}

    @override
    async def intercept_service(self, continuation: Continuation, details: grpc.HandlerCallDetails) -> Handler | None:
        method = details.method
        if method not in self._wrapped:
            handler = await continuation(details)
            if handler is None:
                return None  # not cached: callers can send any number of unknown names
            self._wrapped[method] = self._wrap(handler, method)
        return self._wrapped[method]

    def _wrap(self, handler: Handler, method: str) -> Handler:
        kind = kind_of(handler)
        read = incoming.safe(handler.request_deserializer, method.lstrip("/"))
        if kind.startswith("unary"):
            read = _sized(read)
        meter = RpcMeter(method, self._observer, streaming="stream" in kind, sampler=self._sampler)
        make = self._many_answers if kind.endswith("stream") else self._one_answer
        behaviour = make(getattr(handler, kind), meter)
        return replaced(handler, request_deserializer=read, response_serializer=serialized, **{kind: behaviour})

    def _one_answer(self, inner: Callable[[Any, Context], Awaitable[Any]], meter: RpcMeter) -> Behaviour:
        async def call(request: Any, context: Context) -> Any:
            request, size = _unsized(request)
            try:
                with meter.call(context, size, _caller(context)) as rpc:
                    data = serialized(await inner(_checked(request), context))
                    rpc.response_bytes = len(data)
                if len(data) > SMALL_BYTES:
                    self._answers.watch_call(context, len(data))
            except _PASSED_ON:
                raise
            except grpc.aio.InternalError as error:
                raise _ended(error) from None
            except Exception as error:  # noqa: BLE001 - whatever a handler raises must reach the caller as a status
                await _refuse(context, error)
            else:
                return data

        return call

    def _many_answers(self, inner: Callable[[Any, Context], Any], meter: RpcMeter) -> Behaviour:
        async def call(request: Any, context: Context) -> None:
            request, size = _unsized(request)
            try:
                with meter.call(context, size, _caller(context)), self._streams.one(context.peer()):
                    await self._stream(inner, request, context)
            except _PASSED_ON:
                raise
            except grpc.aio.InternalError as error:
                raise _ended(error) from None
            except Exception as error:  # noqa: BLE001 - as above
                await _refuse(context, error)

        return call

    async def _stream(self, inner: Callable[[Any, Context], Any], request: Any, context: Context) -> None:
        answers = inner(_checked(request), context)
        if hasattr(answers, "__aiter__"):
            answers = self._pass_on(answers, context)
        elif hasattr(request, "__aiter__"):
            await answers  # the handler reads the caller's stream itself, so only it knows where the stream may end
            return
        with self._drain.stream():
            await answers

    async def _pass_on(self, answers: AsyncGenerator[Any, None], context: Context) -> None:
        # gRPC marks the initial metadata as sent when the first write returns. If a drain interrupted that write, gRPC would
        # send
        # them twice, and its core would refuse the status that goes with them
        await context.send_initial_metadata(())
        async with aclosing(answers):
            async for answer in answers:
                await self._answers.write(context, serialized(answer))


def _caller(context: Context) -> TraceContext | None:
    """The trace context that came with the call."""
    return trace.incoming(dict(context.invocation_metadata() or ()))


def _sized(read: Callable[[bytes], Any]) -> Callable[[bytes], tuple[Any, int]]:
    """A deserializer that also returns the number of bytes received: asking the message would serialize it again."""
    return lambda data: (read(data), len(data))


def _unsized(request: Any) -> tuple[Any, int]:
    """A message from a `_sized` deserializer, and its size; a stream of requests as it is, with 0."""
    return request if type(request) is tuple else (request, 0)


def _checked(request: Any) -> Any:
    """The request, or the stream of requests. Raises InvalidArgument for a request that could not be decoded."""
    if hasattr(request, "__aiter__"):
        return incoming.checked(request)
    incoming.check(request)
    return request


def _ended(error: Exception) -> BaseException:
    """The exception that ends a call whose caller is gone. gRPC's core raises InternalError for a refused operation, which it
    treats as a cancellation. For any other exception it would log a traceback for each call.
    """
    return error if type(error) is grpc.aio.InternalError else asyncio.CancelledError("the caller is gone")


async def _refuse(context: Context, error: Exception) -> None:
    """Ends a call with the status of `error`. Never re-raises `error`: a frame that holds an exception whose traceback refers
    to it is a cycle, which keeps the request and everything that the handler held until a garbage collection.
    """
    status = to_status(error) if isinstance(error, DstkError) else internal(error)
    await context.abort_with_status(rpc_status.to_status(status))


def kind_of(handler: Handler) -> str:
    """The name of the handler's behaviour, such as "unary_unary"."""
    kinds = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")
    return next(kind for kind in kinds if getattr(handler, kind))


def replaced(handler: Handler, **behaviour: Any) -> Handler:
    """The handler with another behaviour; gRPC's handler is a named tuple."""
    return handler._replace(**behaviour)
