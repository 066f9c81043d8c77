"""The Admin service of the router: asks every node and puts their answers together."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import grpc

from dstk.v1 import admin_pb2, admin_pb2_grpc, topology_pb2
from dstk_client.nodes import Node, ThickLocator
from dstk_client.routing import Route
from dstk_service import requests
from dstk_service.errors import DstkError, NotServing
from dstk_service.status import from_rpc_error

T = TypeVar("T")

NODE_SECONDS = 2.0
"""How long one node may take to tell about itself."""

SPLIT_SECONDS = 12.0


class AdminServicer(admin_pb2_grpc.AdminServicer):
    """A node that does not answer is named, and what the map knows of it is shown without figures."""

    def __init__(self, locator: ThickLocator, token: str | None) -> None:
        self._locator = locator
        self._metadata = (("authorization", f"Bearer {token}"),) if token else ()

    async def ListPartitions(
        self, request: admin_pb2.ListPartitionsRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.ListPartitionsResponse:
        """See admin.proto."""
        names = sorted({route.primary for route in self._locator.topology.table.routes})
        answers = await self._ask_all(
            names, lambda node: node.admin.ListPartitions(request, timeout=NODE_SECONDS, metadata=self._metadata)
        )
        known = {
            status.partition.id: status
            for answer in answers.values()
            if answer is not None
            for status in answer.partitions
        }
        return admin_pb2.ListPartitionsResponse(
            partitions=[known.get(route.id) or _unknown(route) for route in self._locator.topology.table.routes],
            unreachable_nodes=[name for name, answer in answers.items() if answer is None],
        )

    async def ListNodes(
        self, request: admin_pb2.ListNodesRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.ListNodesResponse:
        """See admin.proto."""
        nodes = self._locator.topology.nodes
        answers = await self._ask_all(
            sorted(nodes), lambda node: node.admin.ListNodes(request, timeout=NODE_SECONDS, metadata=self._metadata)
        )
        statuses = [
            answer.nodes[0] if answer is not None else admin_pb2.NodeStatus(node=nodes[name])
            for name, answer in answers.items()
        ]
        return admin_pb2.ListNodesResponse(nodes=statuses)

    async def SplitPartition(
        self, request: admin_pb2.SplitPartitionRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.SplitPartitionResponse:
        """See admin.proto."""
        requests.key(request.at, "at")
        node = self._locator.locate(request.at).node
        return await _our_errors(node.admin.SplitPartition(request, timeout=SPLIT_SECONDS, metadata=self._metadata))

    async def _ask_all(self, names: list[str], ask: Callable[[Node], Awaitable[T]]) -> dict[str, T | None]:
        async def one(name: str) -> T | None:
            try:
                return await _our_errors(ask(self._locator.node(name)))
            except NotServing:
                return None

        return dict(zip(names, await asyncio.gather(*map(one, names)), strict=True))


async def _our_errors(call: Awaitable[T]) -> T:
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        ours: DstkError = from_rpc_error(error)
        if error.code() == grpc.StatusCode.DEADLINE_EXCEEDED:
            ours = NotServing(f"the node did not answer in time: {error.details()}", 0.5)
        raise ours from error


def _unknown(route: Route) -> admin_pb2.PartitionStatus:
    partition = topology_pb2.Partition(
        id=route.id,
        start=route.start,
        end=route.end,
        epoch=route.epoch,
        primary=route.primary,
        replicas=[route.primary],
        in_sync=[route.primary],
    )
    return admin_pb2.PartitionStatus(partition=partition)
