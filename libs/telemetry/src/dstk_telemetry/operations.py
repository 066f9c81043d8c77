"""The HTTP port of a service for those who operate it.

    /healthz   200 as long as the event loop runs: whoever restarts a process that hangs asks here
    /readyz    200 while every part of the service's readiness is ready, else 503; the body has the obstacles
    /metrics   Prometheus' text format, or OpenMetrics for those who accept it

A service may add routes of its own.

Starlette and uvicorn serve it. A caller that sends nonsense or nothing, or does not read, takes one connection for a
bounded time.
"""

import asyncio
import logging
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from typing_extensions import override

from dstk_service.addresses import split
from dstk_service.logs.fields import LogFields
from dstk_service.readiness import Readiness
from dstk_service.service import Background, Part
from dstk_telemetry.connections import HEADER_BYTES, MOST_CONNECTIONS, ONE_REQUEST, SEND_BYTES, BoundedConnection
from dstk_telemetry.metrics.instruments import Instruments
from dstk_telemetry.metrics.scrapes import Scrapes

log = logging.getLogger(__name__)


class OperationsServer(Part):
    """Listens at host:port for as long as the service has parts, also while they start and drain."""

    name = "operations"

    def __init__(
        self, listen: str, instruments: Instruments, readiness: Readiness, routes: Sequence[BaseRoute] = ()
    ) -> None:
        self._listen, self._scrapes, self._readiness = listen, Scrapes(instruments), readiness
        self._server = _Embedded(
            uvicorn.Config(
                self._application(routes),
                log_config=None,
                log_level=logging.ERROR,  # callers that send nonsense must not fill the log
                access_log=False,
                lifespan="off",
                http=BoundedConnection,
                h11_max_incomplete_event_size=HEADER_BYTES,
                ws="none",
                backlog=MOST_CONNECTIONS,
                headers=[ONE_REQUEST],
                server_header=False,
            )
        )
        self._serving: asyncio.Task[None] | None = None
        self.address = ""
        """host:port, once it has started."""

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._server.server_state.connections)

    @override
    async def start(self, background: Background) -> None:
        listener = _listener(self._listen)
        host = self._listen.rpartition(":")[0]
        self.address = f"{host}:{listener.getsockname()[1]}"
        self._serving = asyncio.create_task(self._server.serve([listener]))
        log.info("operations server listening", extra=LogFields(address=self.address))

    @override
    async def close(self) -> None:
        self._server.should_exit = self._server.force_exit = True
        if self._serving is not None:
            await self._serving

    def _application(self, routes: Sequence[BaseRoute]) -> Starlette:
        return Starlette(
            routes=[
                Route("/healthz", self._alive),
                Route("/readyz", self._ready),
                Route("/metrics", self._metrics),
                *routes,
            ]
        )

    async def _alive(self, _: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def _ready(self, _: Request) -> Response:
        obstacles = self._readiness()
        is_ready = not any(obstacles.values())
        body = {"ready": is_ready, "parts": {part: obstacle or "ready" for part, obstacle in obstacles.items()}}
        return JSONResponse(body, status_code=200 if is_ready else 503)

    async def _metrics(self, request: Request) -> Response:
        body, content_type = await self._scrapes.exposition(request.headers.get("accept", ""))
        return Response(body, headers={"content-type": content_type})


class _Embedded(uvicorn.Server):
    """A server inside a process that handles signals itself."""

    @contextmanager
    @override
    def capture_signals(self) -> Iterator[None]:
        yield


def _listener(address: str) -> socket.socket:
    host, port = split(address)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    is_dual = host == "::" and socket.has_dualstack_ipv6()  # as gRPC does
    try:
        made = socket.create_server((host, int(port)), family=family, dualstack_ipv6=is_dual)
    except OSError as error:
        raise OSError(
            f"the operations server cannot listen on {address!r}: {error}. Give another address as --operations-listen, or off"
        ) from error
    made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BYTES)  # connections inherit it
    return made
