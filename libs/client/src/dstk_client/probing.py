"""Finds out whether a silent server hangs, or only waits for another one."""

import asyncio

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from dstk_service.transport.grpc_connector import GRPC
from dstk_service.transport.port import Connector

PROBE_SECONDS = 0.6
"""The timeout of a health check."""

PAUSE_SECONDS = 0.3
"""The least time between two health checks."""

VERDICT_SECONDS = 1.0
"""How long a failed health check counts."""

_SILENT = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}


class Suspect:
    """One server that may hang. It is probed only while a caller asks `hangs`.

    Each health check uses a new connection: on the old one it would wait behind megabytes of answers on a slow line, and of
    several processes that share a port only one may hang. A health check needs the server's event loop, as calls do; a ping
    does not, since gRPC answers it.
    """

    def __init__(self, address: str, connector: Connector = GRPC) -> None:
        self._address, self._connector = address, connector
        self._loop = asyncio.get_running_loop()
        self._hung_until = 0.0
        self._ask_again = 0.0
        self._asking: asyncio.Task[None] | None = None

    def hangs(self) -> bool:
        """Whether the last health check failed less than a second ago. Starts a health check if none is recent."""
        if self._loop.time() < self._hung_until:
            return True
        if self._loop.time() >= self._ask_again and (self._asking is None or self._asking.done()):
            self._ask_again = self._loop.time() + PAUSE_SECONDS
            self._asking = asyncio.create_task(self._ask())
        return False

    async def _ask(self) -> None:
        async with self._connector.connect(self._address) as channel:
            try:
                await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=PROBE_SECONDS)
            except grpc.aio.AioRpcError as error:
                if error.code() in _SILENT:
                    self._hung_until = self._loop.time() + VERDICT_SECONDS

    async def close(self) -> None:
        """Cancels the health check in progress."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)
            self._asking = None
