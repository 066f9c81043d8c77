"""Calls of one service at one address. Every failure is a typed error."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import grpc
from google.protobuf.message import Message

from dstk_client.operation import Ambiguous
from dstk_client.retries import of_call
from dstk_service.cancellation import Cancellation
from dstk_service.errors import DeadlineExceeded, DstkError, NotServing, WriteAmbiguous
from dstk_service.status import is_ours
from dstk_service.transport.port import Channel

S = TypeVar("S")
T = TypeVar("T")

Method = Callable[[S], Callable[..., Awaitable[T]]]
"""Selects a method of a stub."""

_Typed = Callable[[grpc.aio.AioRpcError, float], DstkError]
"""The typed error of a call that failed, which might have taken so many seconds."""

UNREACHABLE_SECONDS = 0.5
"""After which a server that could not be reached may be tried again."""

REPEAT_SECONDS = 0.1
"""The least pause before a call is repeated."""


class UnaryCalls(Generic[S]):
    """Calls over one channel, by the methods of a stub. `where` names the server in errors, such as "node 'storage-1'".
    `one_of_many`: it is also named in its own NotServing answers. `patience_seconds`: for how long a call is repeated that the
    server answers with NotServing, since a takeover passes by itself.
    """

    def __init__(
        self, channel: Channel, stub: S, where: str, *, one_of_many: bool = False, patience_seconds: float = 0.0
    ) -> None:
        self._channel, self._stub = channel, stub
        self._where, self._one_of_many = where, one_of_many
        self._patience_seconds = patience_seconds
        self.in_progress = 0

    async def call(self, method: Method[S, T], request: Message, seconds: float) -> T:
        """One call, within so many seconds. Raises DstkError: NotServing when the server cannot be reached and nothing was
        done, WriteAmbiguous or DeadlineExceeded when the request may have been carried out.
        """
        return await self._counted(method, request, seconds, self._error_of_change)

    async def read(self, method: Method[S, T], request: Message, seconds: float) -> T:
        """As `call`, for a call that changes nothing. To repeat it is safe, so that a broken connection is NotServing."""
        return await self._counted(method, request, seconds, self._error_of_read)

    async def _counted(self, method: Method[S, T], request: Message, seconds: float, typed: _Typed) -> T:
        self.in_progress += 1
        cancellation = Cancellation()
        try:
            answer = await self._call(method, request, seconds, typed)
        finally:
            self.in_progress -= 1
        if cancellation.requested:
            raise asyncio.CancelledError
        return answer

    async def _call(self, method: Method[S, T], request: Message, seconds: float, typed: _Typed) -> T:
        now = asyncio.get_running_loop().time
        until, patient_until = now() + seconds, now() + min(seconds / 2, self._patience_seconds)
        await self._connect(until)  # otherwise a failed call would leave open whether the server received it
        while True:
            try:
                return await method(self._stub)(request, timeout=until - now())
            except grpc.aio.AioRpcError as error:
                refusal = typed(error, seconds)
                if not isinstance(refusal, NotServing) or now() > patient_until:
                    raise refusal from error
                await asyncio.sleep(max(REPEAT_SECONDS, min(refusal.retry_after, UNREACHABLE_SECONDS)))

    async def _connect(self, until: float) -> None:
        try:
            async with asyncio.timeout_at(until):
                connected = await self._channel.connected()
        except TimeoutError:
            raise NotServing(f"{self._where} could not be reached in time", UNREACHABLE_SECONDS) from None
        if not connected:
            raise NotServing(f"{self._where} cannot be reached", UNREACHABLE_SECONDS)

    def _error_of_change(self, error: grpc.aio.AioRpcError, seconds: float) -> DstkError:
        typed = of_call(error)
        if isinstance(typed, Ambiguous):
            return WriteAmbiguous(f"the connection to {self._where} broke; the change may have been made ({typed})")
        if isinstance(typed, DeadlineExceeded) and not is_ours(error):
            return DeadlineExceeded(f"{self._where} did not answer within {seconds:g} s; the change may still be made")
        return self._named(typed)

    def _error_of_read(self, error: grpc.aio.AioRpcError, seconds: float) -> DstkError:
        typed = of_call(error)
        if isinstance(typed, Ambiguous):
            return NotServing(f"the connection to {self._where} broke ({typed})", 0.0)
        if isinstance(typed, DeadlineExceeded) and not is_ours(error):
            return DeadlineExceeded(f"{self._where} did not answer within {seconds:g} s")
        return self._named(typed)

    def _named(self, typed: Exception) -> DstkError:
        assert isinstance(typed, DstkError)
        if isinstance(typed, NotServing) and self._one_of_many:
            return NotServing(f"{self._where}: {typed.why}", typed.retry_after or UNREACHABLE_SECONDS)
        return typed

    async def close(self) -> None:
        """Cancels calls in progress and closes the channel."""
        await self._channel.close()
