"""The gRPC server of a service: the adapter of Server, with health, reflection and error mapping."""

from collections.abc import Callable
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health_aio
from typing_extensions import override

from dstk_service import reflection
from dstk_service.answers import Answers
from dstk_service.drain import Drain
from dstk_service.interceptors import ErrorInterceptor
from dstk_service.observe import NULL, Observer
from dstk_service.trace import NEVER, Sampler
from dstk_service.transport import grpc_options
from dstk_service.transport.credentials import NodeCredentials, OperatorCredentials
from dstk_service.transport.guard import CredentialsGuard
from dstk_service.transport.port import Server

_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class GrpcServer(Server):
    """Listens in plain text. `options` are added to those of every server."""

    def __init__(
        self,
        address: str,
        *,
        operator: OperatorCredentials | None = None,
        node: NodeCredentials | None = None,
        observer: Observer = NULL,
        sampler: Sampler = NEVER,
        shared_port: bool = False,
        options: grpc_options.Options | None = None,
    ) -> None:
        self._address = address
        self.drain, self.answers = Drain(), Answers()
        needed = {
            "dstk.v1.Admin": operator or OperatorCredentials(),
            "dstk.v1.Replication": node or NodeCredentials(),
        }
        all_options = grpc_options.server(shared_port=shared_port) | (options or {})
        self._server = grpc.aio.server(
            interceptors=[ErrorInterceptor(self.drain, self.answers, observer, sampler), CredentialsGuard(needed)],
            options=[*all_options.items()],
        )
        self._health = health_aio.HealthServicer()
        self._names = [""]
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)

    @override
    def add(self, register: Callable[[Any, Any], None], servicer: object, name: str) -> None:
        register(servicer, self._server)
        self._names.append(name)

    @override
    async def start(self) -> str:
        health = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
        reflection.enable([*filter(None, self._names), health], self._server)
        await self.set_serving(serving=False)
        try:
            port = self._server.add_insecure_port(self._address)
        except RuntimeError as error:
            raise OSError(f"cannot listen on {self._address!r}: {error}. Is the port taken? Give another") from error
        await self._server.start()
        host = self._address.rpartition(":")[0]
        return f"{host}:{port}"

    @override
    async def set_serving(self, *, serving: bool, name: str | None = None) -> None:
        status = _SERVING if serving else _NOT_SERVING
        for each in self._names if name is None else (name,):
            await self._health.set(each, status)

    @override
    async def stop(self, grace: float) -> None:
        await self._health.enter_graceful_shutdown()
        self.drain.begin()
        await self._server.stop(grace)
