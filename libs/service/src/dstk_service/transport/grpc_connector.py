"""Channels of gRPC: the adapter of Connector."""

import asyncio
import gc
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, Self

import grpc
from typing_extensions import override

from dstk_service.addresses import checked
from dstk_service.context import Process
from dstk_service.transport import grpc_options
from dstk_service.transport.credentials import Credentials, Metadata
from dstk_service.transport.port import Channel, Connector, Profile

END_SECONDS = 1.0
"""How long a cancelled call may take to end; it takes a millisecond."""

_READY = grpc.ChannelConnectivity.READY
_UNREACHABLE = {grpc.ChannelConnectivity.TRANSIENT_FAILURE, grpc.ChannelConnectivity.SHUTDOWN}


def _not_the_poller(record: logging.LogRecord) -> bool:
    return "PollerCompletionQueue._handle_events" not in record.getMessage()


# gRPC has one poller for all event loops of a process. Each of them wakes up, one reads the byte that says so, and the others
# would log a harmless traceback (grpc/grpc#25364), in programs that use `connect_sync` or run several loops
logging.getLogger("asyncio").addFilter(_not_the_poller)


_first: list[Process] = []
"""The process in which gRPC began to run. Its threads do not pass through a fork: channels in a child never connect, and some
abort it.
"""


class GrpcConnector(Connector):
    """Opens channels of grpc.aio, in plain text."""

    @override
    def connect(
        self,
        address: str,
        profile: Profile = Profile.CALLS,
        credentials: Credentials | None = None,
        metadata: Metadata = (),
    ) -> Channel:
        _check_process()
        options = [*grpc_options.CHANNEL[profile].items()]
        channel = grpc.aio.insecure_channel(checked(address), options=options)
        if credentials is None and not metadata:
            return GrpcChannel(channel)
        return _ShowingChannel(channel, credentials, metadata)


GRPC: Final = GrpcConnector()


class GrpcChannel(Channel):
    """A channel whose calls carry nothing of their own."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel

    @override
    def unary_unary(self, method: str, *args: Any, **kwargs: Any) -> Any:
        return self._channel.unary_unary(method, *args, **kwargs)

    @override
    def unary_stream(self, method: str, *args: Any, **kwargs: Any) -> Any:
        return self._channel.unary_stream(method, *args, **kwargs)

    @override
    def stream_unary(self, method: str, *args: Any, **kwargs: Any) -> Any:
        return self._channel.stream_unary(method, *args, **kwargs)

    @override
    def stream_stream(self, method: str, *args: Any, **kwargs: Any) -> Any:
        return self._channel.stream_stream(method, *args, **kwargs)

    @override
    async def connected(self) -> bool:
        while (state := self._channel.get_state(try_to_connect=True)) is not _READY:
            if state in _UNREACHABLE:
                return False
            await self._channel.wait_for_state_change(state)
        return True

    @override
    async def close(self) -> None:
        await self._channel.close()

    @override
    async def __aenter__(self) -> Self:
        return self

    @override
    async def __aexit__(self, *_: object) -> None:
        await self.close()


class _ShowingChannel(GrpcChannel):
    """A channel whose calls carry credentials. gRPC's own interceptors would make each call slower by a task."""

    def __init__(self, channel: grpc.aio.Channel, credentials: Credentials | None, metadata: Metadata) -> None:
        super().__init__(channel)
        self._credentials, self._metadata = credentials, metadata

    @override
    def unary_unary(self, method: str, *args: Any, **kwargs: Any) -> Any:
        return self._showing(super().unary_unary(method, *args, **kwargs))

    @override
    def unary_stream(self, method: str, *args: Any, **kwargs: Any) -> Any:
        return self._showing(super().unary_stream(method, *args, **kwargs))

    @override
    def stream_unary(self, method: str, *args: Any, **kwargs: Any) -> Any:
        return self._showing(super().stream_unary(method, *args, **kwargs))

    @override
    def stream_stream(self, method: str, *args: Any, **kwargs: Any) -> Any:
        return self._showing(super().stream_stream(method, *args, **kwargs))

    def _showing(self, begin: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, metadata: Metadata | None = None, **kwargs: Any) -> Any:
            shown = () if self._credentials is None else self._credentials.metadata()
            return begin(*args, metadata=(*shown, *self._metadata, *(metadata or ())), **kwargs)

        return call


def _check_process() -> None:
    if not _first:
        _first.append(Process())
        # what a child inherits must not be collected there: to take gRPC's objects apart without its threads ends in a crash
        os.register_at_fork(after_in_child=gc.freeze)
    _first[0].check("gRPC")


async def end(call: Any) -> None:
    """Cancels a call and returns once gRPC has confirmed it: gRPC prints what it cannot tell a loop that is closed by then."""
    call.cancel()
    with suppress(TimeoutError):
        async with asyncio.timeout(END_SECONDS):
            await call.code()
