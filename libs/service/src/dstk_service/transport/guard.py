"""Refuses calls of some services unless the caller shows the credentials that they need."""

from collections.abc import Callable, Mapping
from typing import Any

import grpc
from typing_extensions import override

from dstk_service.interceptors import Context, Continuation, Handler, kind_of, replaced
from dstk_service.transport.credentials import Credentials


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
            self._guarded[method] = replaced(handler, **{kind: _guard(getattr(handler, kind), credentials)})
        return self._guarded[method]


def _guard(inner: Callable[[Any, Context], Any], credentials: Credentials) -> Callable[[Any, Context], Any]:
    """The behaviour, of any kind: returns what `inner` returns, to be awaited or iterated."""

    def call(request: Any, context: Context) -> Any:
        credentials.check(dict(context.invocation_metadata() or ()), context.peer())
        return inner(request, context)

    return call
