"""A router's Admin service in front of scripted storage nodes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import grpc
import pytest

from dstk.v1 import admin_pb2, admin_pb2_grpc, topology_pb2
from dstk_client.admin import AdminLinks
from dstk_client.topology import Topology
from dstk_router.admin import AdminServicer
from dstk_service.status import from_rpc_error
from dstk_service.transport.credentials import OperatorCredentials
from dstk_service.transport.grpc_connector import GRPC
from dstk_service.transport.grpc_server import GrpcServer
from kit.map_entries import map_entry_on

SERVING, STARTING = topology_pb2.NODE_STATE_SERVING, topology_pb2.NODE_STATE_STARTING


class ScriptedNode:
    """A storage node, as an AdminServicer whose methods are made from the service's.

    `answers`: by method; an exception is raised, "hang" never ends. `asked`: what arrived.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.address = ""
        self.stop: Callable[[float], Awaitable[None]]
        self.answers: dict[str, Any] = {}
        self.asked: list[tuple[str, Any]] = []
        self.metadata: dict[str, Any] = {}

    async def _answer(self, method: str, request: Any, context: Any) -> Any:
        self.asked.append((method, request))
        self.metadata = dict(context.invocation_metadata())
        answer = self.answers.get(method, getattr(admin_pb2, f"{method}Response")())
        if answer == "hang":
            await asyncio.Event().wait()
        if isinstance(answer, Exception):
            raise answer
        return answer


def _method(name: str) -> Any:
    async def call(self: ScriptedNode, request: Any, context: Any) -> Any:
        return await self._answer(name, request, context)

    return call


METHODS = [method.name for method in admin_pb2.DESCRIPTOR.services_by_name["Admin"].methods]
for each in METHODS:
    setattr(ScriptedNode, each, _method(each))


class ScriptedCluster:
    """Nodes, the router's map, and a caller of the router."""

    def __init__(self, nodes: dict[str, ScriptedNode], topology: Topology, stub: admin_pb2_grpc.AdminStub) -> None:
        self.nodes = nodes
        self.topology = topology
        self.stub = stub

    def shows(self, *partitions: topology_pb2.Partition, alive: str = "abc", **states: Any) -> None:
        """The map that the router reads."""
        nodes = [
            topology_pb2.Node(id=name, address=self.nodes[name].address, state=states.get(name, SERVING))
            for name in alive
        ]
        self.topology.apply(topology_pb2.TopologyUpdate(full=True, partitions=partitions, nodes=nodes))

    def asked(self, method: str) -> list[str]:
        """The nodes that received the call."""
        return [name for name, node in self.nodes.items() if method in [asked for asked, _ in node.asked]]

    async def fails(self, call: Any) -> Exception:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        return from_rpc_error(caught.value)


async def _serve(stack: AsyncExitStack, servicer: Any) -> tuple[str, Callable[[float], Awaitable[None]]]:
    server = GrpcServer(
        "127.0.0.1:0", operator=OperatorCredentials("secret" if isinstance(servicer, ScriptedNode) else None)
    )
    server.add(admin_pb2_grpc.add_AdminServicer_to_server, servicer, "dstk.v1.Admin")
    address = await server.start()
    stack.push_async_callback(server.stop, 0)
    return address, server.stop


@asynccontextmanager
async def cluster() -> AsyncIterator[ScriptedCluster]:
    """Nodes a, b and c with a partition below "m" on all and one above on b and c."""
    async with AsyncExitStack() as stack:
        nodes = {name: ScriptedNode(name) for name in "abc"}
        for node in nodes.values():
            node.address, node.stop = await _serve(stack, node)
        topology, links = Topology(), AdminLinks(GRPC, OperatorCredentials("secret"), 5.0)
        stack.push_async_callback(links.close)
        router, _ = await _serve(stack, AdminServicer(topology, links))
        channel = await stack.enter_async_context(GRPC.connect(router))
        made = ScriptedCluster(nodes, topology, admin_pb2_grpc.AdminStub(channel))
        made.shows(map_entry_on(1, "abc", end=b"m"), map_entry_on(2, "bc/a", start=b"m"))
        yield made
