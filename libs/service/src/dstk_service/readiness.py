"""Whether a service can do all of its work, and what is in the way: what `/readyz` and gRPC health report."""

from collections.abc import Callable, Mapping

from typing_extensions import override

from dstk_service.clock import Clock
from dstk_service.service import Background, Part
from dstk_service.transport.port import Server

Readiness = Callable[[], Mapping[str, str]]
"""Returns the parts that readiness rests on, by name, each with its obstacle; an empty text: that part is ready."""

POLL_SECONDS = 0.5


def is_ready(readiness: Readiness) -> bool:
    """Whether every part is ready."""
    return not any(readiness().values())


class ReadinessHealth(Part):
    """Keeps the gRPC health of the service `name` in step with its readiness."""

    name = "readiness"

    def __init__(self, server: Server, service: str, readiness: Readiness, clock: Clock) -> None:
        self._server, self._service, self._readiness, self._clock = server, service, readiness, clock

    @override
    async def start(self, background: Background) -> None:
        background(self._run())

    async def _run(self) -> None:
        while True:
            await self._server.set_serving(serving=is_ready(self._readiness), name=self._service)
            await self._clock.sleep(POLL_SECONDS)
