"""The HTTP port of a service for those who operate it.

    /healthz   200 as long as the event loop runs: whoever restarts a process that hangs asks here
    /readyz    200 while every part of the service's readiness is ready, else 503; the body has the obstacles
    /metrics   Prometheus' text format, or OpenMetrics for those who accept it

A service may add routes of its own.

Starlette and uvicorn serve it. A caller that sends nonsense or nothing, or does not read, takes one connection for a
bounded time.
"""

from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from dstk_service.readiness import Readiness
from dstk_telemetry.connections import ONE_REQUEST, BoundedConnection
from dstk_telemetry.http_server import HttpServer
from dstk_telemetry.metrics.instruments import Instruments
from dstk_telemetry.metrics.scrapes import Scrapes


class OperationsServer(HttpServer):
    """Listens at host:port for as long as the service has parts, also while they start and drain."""

    name = "operations"

    def __init__(
        self, listen: str, instruments: Instruments, readiness: Readiness, routes: Sequence[BaseRoute] = ()
    ) -> None:
        self._scrapes, self._readiness = Scrapes(instruments), readiness
        super().__init__(
            listen,
            self._application(routes),
            BoundedConnection,
            option="--operations-listen",
            headers=[ONE_REQUEST],
        )

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
