"""Whether a server that answers nothing hangs, or only waits for somebody else."""

import asyncio

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from dstk_service.channels import open_channel

PROBE_SECONDS = 0.6
"""How long a server may take to say that it lives."""

PAUSE_SECONDS = 0.3
"""Between two questions: more often than that nobody needs to know."""

VERDICT_SECONDS = 1.0
"""How long it is believed that a server hangs."""

_SILENT = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}


class Suspect:
    """One server, which is asked only where somebody has reason to doubt it.

    On a connection of its own each time: behind megabytes on a slow line a question would wait as the answers do, and of
    several processes that share a port one may hang. That needs the server's event loop, as its calls do; a ping is answered
    by gRPC alone.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._loop = asyncio.get_running_loop()
        self._hung_until = 0.0
        self._ask_again = 0.0
        self._asking: asyncio.Task[None] | None = None

    def hangs(self) -> bool:
        """What is known at this moment. Asks, where nothing is, for those who look again."""
        if self._loop.time() < self._hung_until:
            return True
        if self._loop.time() >= self._ask_again and (self._asking is None or self._asking.done()):
            self._ask_again = self._loop.time() + PAUSE_SECONDS
            self._asking = asyncio.create_task(self._ask())
        return False

    async def _ask(self) -> None:
        async with open_channel(self._address) as channel:
            try:
                await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=PROBE_SECONDS)
            except grpc.aio.AioRpcError as error:
                if error.code() in _SILENT:
                    self._hung_until = self._loop.time() + VERDICT_SECONDS

    async def close(self) -> None:
        """Asks nothing more."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)
            self._asking = None
