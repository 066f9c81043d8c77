"""Refuses calls of some services unless the caller shows the credentials that they need."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import grpc
from typing_extensions import override

from dstk_service.errors import DstkError
from dstk_service.interceptors import Context, Continuation, Handler, kind_of, replaced
from dstk_service.transport.credentials import Credentials

FIRST_MESSAGE_SECONDS = 1.0
"""How long a refused stream may take to send its first message."""


class CredentialsGuard(grpc.aio.ServerInterceptor):
    """Checks every call of the services in `needed`, by full name.

    It stands inside the ErrorInterceptor, which turns the refusal into a status for calls of every kind.
    """

    def __init__(self, needed: Mapping[str, Credentials]) -> None:
        self._needed = dict(needed)
        self._guarded: dict[str, Handler] = {}

    @override
    async def intercept_service(self, continuation: Continuation, details: grpc.HandlerCallDetails) -> Handler | None:
        method = details.method
        credentials = self._needed.get(method.strip("/").partition("/")[0])
        if credentials is None:
            return await continuation(details)
        if method not in self._guarded:
            handler = await continuation(details)
            if handler is None:
                return None
            kind = kind_of(handler)
            guarded = _guard(getattr(handler, kind), credentials, reads=handler.request_streaming)
            self._guarded[method] = replaced(handler, **{kind: guarded})
        return self._guarded[method]


def _guard(
    inner: Callable[[Any, Context], Any], credentials: Credentials, *, reads: bool
) -> Callable[[Any, Context], Any]:
    """The behaviour, of any kind: returns what `inner` returns, to be awaited or iterated. `reads`: it takes a stream."""

    def call(request: Any, context: Context) -> Any:
        try:
            credentials.check(dict(context.invocation_metadata() or ()), context.peer())
        except DstkError as refusal:
            if reads:
                return _refuse_the_first_message(context, refusal)
            raise
        return inner(request, context)

    return call


async def _refuse_the_first_message(context: Context, refusal: DstkError) -> None:
    """A caller whose first message is on its way when the call ends is told INTERNAL by gRPC, not why it is refused."""
    with suppress(TimeoutError):
        async with asyncio.timeout(FIRST_MESSAGE_SECONDS):
            await context.read()
    raise refusal
