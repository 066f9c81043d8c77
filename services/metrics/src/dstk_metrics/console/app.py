"""The routes of the console.

GET  /                     the page and its files
POST /api/v1/<Method>      a call of dstk.v1.Metrics, in JSON
GET  /api/v1/<Method>      a streaming call as server-sent events; fields of the request as query parameters
GET  /api/cluster          nodes, events and findings
GET  /api/replicas         the replicas of a partition
POST /api/keys/display     keys as text, and back: /api/keys/parse
"""

from collections.abc import Collection
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from dstk_metrics.application.api import MetricsApi
from dstk_metrics.console import keys, problems
from dstk_metrics.console.cluster_calls import ClusterCalls
from dstk_metrics.console.figures import ConsoleFigures
from dstk_metrics.console.guards import Guard, body_of
from dstk_metrics.console.live import LiveStreams
from dstk_metrics.console.survey import Survey
from dstk_metrics.console.transcoder import METHODS, Transcoder, message_of
from dstk_service.errors import DstkError

STATIC = Path(__file__).parent / "static"


class MetricsCalls:
    """The calls of dstk.v1.Metrics."""

    def __init__(self, api: MetricsApi, figures: ConsoleFigures) -> None:
        self._transcoder = Transcoder(api)
        self._streams = LiveStreams(self._transcoder, figures)

    @property
    def listeners(self) -> int:
        """How many follow a stream."""
        return self._streams.listeners

    async def unary(self, request: Request) -> Response:
        """Answers a call that has one answer."""
        name = _method(request, streaming=False)
        return Response(await self._transcoder.call(name, await body_of(request)), media_type="application/json")

    async def stream(self, request: Request) -> Response:
        """Answers a call that has a stream of answers."""
        name = _method(request, streaming=True)
        return await self._streams.follow(name, message_of(METHODS[name], dict(request.query_params)))


def application(calls: MetricsCalls, survey: Survey, hosts: Collection[str], figures: ConsoleFigures) -> ASGIApp:
    """The console."""
    cluster = ClusterCalls(survey)
    routes = [
        Route("/api/v1/{method}", calls.unary, methods=["POST"]),
        Route("/api/v1/{method}", calls.stream, methods=["GET"]),
        Route("/api/cluster", cluster.cluster, methods=["GET"]),
        Route("/api/replicas", cluster.replicas, methods=["GET"]),
        Route("/api/keys/display", keys.displayed, methods=["POST"]),
        Route("/api/keys/parse", keys.parsed, methods=["POST"]),
        Mount("/", StaticFiles(directory=STATIC, html=True)),
    ]
    handlers = {
        DstkError: problems.refused,
        Exception: problems.defect,
        404: problems.not_found,
        405: problems.method_not_allowed,
    }
    return Guard(Starlette(routes=routes, exception_handlers=handlers), hosts, figures)


def _method(request: Request, *, streaming: bool) -> str:
    name: str = request.path_params["method"]
    known = [each for each, method in METHODS.items() if method.server_streaming == streaming]
    if name not in known:
        how = "with GET" if streaming else "with POST"
        raise problems.Refused(404, "NOT_FOUND", f"there is no call {name[:100]!r}; called {how}: {', '.join(known)}")
    return name
