"""Servers of this process on a free port of loopback, for as long as a test needs them."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from typing_extensions import override

from dstk.v1 import (
    admin_pb2,
    admin_pb2_grpc,
    kv_pb2_grpc,
    metrics_pb2_grpc,
    replication_pb2_grpc,
    statistics_pb2_grpc,
    topology_pb2_grpc,
)
from dstk_service.transport.grpc_server import GrpcServer

REGISTER: Final[Mapping[str, Callable[[Any, Any], None]]] = {
    "Admin": admin_pb2_grpc.add_AdminServicer_to_server,
    "KeyValue": kv_pb2_grpc.add_KeyValueServicer_to_server,
    "Metrics": metrics_pb2_grpc.add_MetricsServicer_to_server,
    "Replication": replication_pb2_grpc.add_ReplicationServicer_to_server,
    "Statistics": statistics_pb2_grpc.add_StatisticsServicer_to_server,
    "Topology": topology_pb2_grpc.add_TopologyServicer_to_server,
}


@asynccontextmanager
async def listening(server: GrpcServer, **servicers: Any) -> AsyncIterator[str]:
    """The address of a server with servicers, each by the name of its service in dstk.v1."""
    for name, servicer in servicers.items():
        server.add(REGISTER[name], servicer, f"dstk.v1.{name}")
    try:
        yield await server.start()
    finally:
        await server.stop(0)


class EmptyAdmin(admin_pb2_grpc.AdminServicer):
    """Knows no nodes."""

    @override
    async def ListNodes(self, request: Any, context: Any) -> admin_pb2.ListNodesResponse:
        return admin_pb2.ListNodesResponse()
