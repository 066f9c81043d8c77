"""The gRPC server of a service: health, reflection, error mapping, ordered start and stop."""

from collections.abc import Callable
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health_aio

from dstk_service import reflection
from dstk_service.answers import Answers
from dstk_service.channels import SERVER_OPTIONS, Options
from dstk_service.drain import Drain
from dstk_service.interceptors import AdminGuard, ErrorInterceptor
from dstk_service.observe import NULL, Observer

GUARDED = ("dstk.v1.Admin", "dstk.v1.Replication")
"""Services of which every call must show its right."""

_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class GrpcServer:
    """Built, filled with `add`, then started. Not serving, by its health, until told so.

    `admin_token`: what calls of GUARDED services must carry; None: they are taken from loopback alone. `observer` is told of
    every call when it ends (RpcEnded).
    """

    def __init__(
        self,
        listen: str,
        *,
        admin_token: str | None = None,
        options: Options | None = None,
        observer: Observer = NULL,
    ) -> None:
        self._listen = listen
        self.drain = Drain()
        """For servicers that read streams themselves."""
        self.answers = Answers()
        """For servicers whose answers may be large."""
        interceptors = [ErrorInterceptor(self.drain, self.answers, observer), AdminGuard(GUARDED, admin_token)]
        self._server = grpc.aio.server(interceptors=interceptors, options=SERVER_OPTIONS + (options or []))
        self._health = health_aio.HealthServicer()
        self._names = [""]
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)

    def add(self, register: Callable[[Any, grpc.aio.Server], None], servicer: object, name: str) -> None:
        """Adds a servicer by its generated `add_…_to_server`; `name` is its full name, such as "dstk.v1.KeyValue"."""
        register(servicer, self._server)
        self._names.append(name)

    async def start(self) -> str:
        """Starts and returns the bound host:port. Raises OSError when the address cannot be bound."""
        health = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
        reflection.enable([*filter(None, self._names), health], self._server)
        await self.set_serving(serving=False)
        try:
            port = self._server.add_insecure_port(self._listen)
        except RuntimeError as error:
            raise OSError(f"cannot listen on {self._listen!r}: {error}. Is the port taken? Give another") from error
        await self._server.start()
        host = self._listen.rpartition(":")[0]
        return f"{host}:{port}"

    async def set_serving(self, *, serving: bool) -> None:
        """Sets the health of all services."""
        status = _SERVING if serving else _NOT_SERVING
        for name in self._names:
            await self._health.set(name, status)

    async def stop(self, grace: float) -> None:
        """Says NOT_SERVING, takes no more calls, ends streams, lets calls under way end within `grace` seconds, cancels the
        rest.
        """
        await self._health.enter_graceful_shutdown()
        self.drain.begin()
        await self._server.stop(grace)
