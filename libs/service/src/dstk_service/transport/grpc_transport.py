"""Both halves of the gRPC transport, for services."""

from typing_extensions import override

from dstk_service.observe import NULL, Observer
from dstk_service.trace import NEVER, Sampler
from dstk_service.transport.credentials import NodeCredentials, OperatorCredentials
from dstk_service.transport.grpc_connector import GrpcConnector
from dstk_service.transport.grpc_server import GrpcServer
from dstk_service.transport.port import Server, Transport


class GrpcTransport(GrpcConnector, Transport):
    """gRPC, in plain text."""

    @override
    def listen(
        self,
        address: str,
        *,
        operator: OperatorCredentials | None = None,
        node: NodeCredentials | None = None,
        observer: Observer = NULL,
        sampler: Sampler = NEVER,
        shared_port: bool = False,
    ) -> Server:
        return GrpcServer(
            address, operator=operator, node=node, observer=observer, sampler=sampler, shared_port=shared_port
        )
