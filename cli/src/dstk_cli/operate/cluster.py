"""Admin calls of the commands, through a router."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import grpc
from google.protobuf.message import Message

from dstk.v1 import admin_pb2, admin_pb2_grpc, topology_pb2, topology_pb2_grpc
from dstk_cli.connection import Target
from dstk_cli.diagnosis import refuse_node, told_apart
from dstk_cli.errors import USAGE, CliError
from dstk_client.watch import joined
from dstk_keytypes import KeyRange
from dstk_service import admin_requests, tokens
from dstk_service.cancellation import Cancellation
from dstk_service.errors import NotServing
from dstk_service.status import from_rpc_error
from dstk_service.transport.credentials import OperatorCredentials
from dstk_service.transport.grpc_connector import GRPC
from dstk_service.transport.port import Channel

T = TypeVar("T")

TOKEN_VARIABLE = "DSTK_ADMIN_TOKEN_FILE"  # noqa: S105 - the name of a variable
REPAIR_SECONDS = 600.0
COMPACT_SECONDS = 65.0

DesiredState = admin_pb2.DesiredState


class Cluster:
    """One method for each Admin call. Raises DstkError; a request outside its bounds raises InvalidArgument and is not sent."""

    def __init__(self, channel: Channel, seconds: float) -> None:
        self._admin = admin_pb2_grpc.AdminStub(channel)
        self._topology = topology_pb2_grpc.TopologyStub(channel)
        self._seconds = seconds

    async def nodes(self) -> list[admin_pb2.NodeStatus]:
        """All nodes that are alive, or that the map or a desired state names."""
        answer = await self._call(self._admin.ListNodes, admin_pb2.ListNodesRequest())
        return list(answer.nodes)

    async def partitions(self) -> admin_pb2.ListPartitionsResponse:
        """All partitions by key, with their primaries' figures."""
        return await self._call(self._admin.ListPartitions, admin_pb2.ListPartitionsRequest())

    async def partition(self, partition_id: int) -> admin_pb2.PartitionStatus:
        """The partition with this id. Raises CliError if there is none."""
        answer = await self.partitions()
        found = next((status for status in answer.partitions if status.partition.id == partition_id), None)
        if found is None:
            raise CliError(f"there is no partition {partition_id}", "`dstk partitions` lists them", USAGE)
        return found

    async def replicas(self) -> admin_pb2.ListReplicasResponse:
        """All replicas as their own nodes report them."""
        return await self._call(self._admin.ListReplicas, admin_pb2.ListReplicasRequest())

    async def entries(self) -> list[topology_pb2.Partition]:
        """The entries of the router's map, by start of range."""
        call = self._topology.Watch(topology_pb2.WatchRequest(), timeout=self._seconds)
        try:
            update: topology_pb2.TopologyUpdate | None = None
            async for message in call:
                update = joined(update, message)
                if not update.more:
                    return sorted(update.partitions, key=lambda entry: entry.start)
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from None
        finally:
            call.cancel()
        raise NotServing("the router ended the stream before the map was complete", 1.0)

    async def split(
        self, *, at: bytes = b"", partition_id: int = 0, by_load: bool = False
    ) -> admin_pb2.SplitPartitionResponse:
        """Splits at a key, or in the middle of a partition."""
        request = admin_pb2.SplitPartitionRequest(at=at, partition_id=partition_id, by_load=by_load)
        admin_requests.split(request)
        return await self._call(self._admin.SplitPartition, request)

    async def merge(self, at: bytes) -> topology_pb2.Partition:
        """Merges the partition that starts at the key into its lower neighbour."""
        request = admin_pb2.MergePartitionsRequest(at=at)
        admin_requests.merge(request)
        answer: admin_pb2.MergePartitionsResponse = await self._call(self._admin.MergePartitions, request)
        return answer.merged

    async def add_replica(self, partition_id: int, node: str) -> topology_pb2.Partition:
        """Adds a replica, which starts as a learner."""
        request = admin_pb2.AddReplicaRequest(partition_id=partition_id, node=node)
        admin_requests.replica(request)
        answer: admin_pb2.AddReplicaResponse = await self._call(self._admin.AddReplica, request)
        return answer.partition

    async def remove_replica(self, partition_id: int, node: str) -> topology_pb2.Partition:
        """Removes a replica."""
        request = admin_pb2.RemoveReplicaRequest(partition_id=partition_id, node=node)
        admin_requests.replica(request)
        answer: admin_pb2.RemoveReplicaResponse = await self._call(self._admin.RemoveReplica, request)
        return answer.partition

    async def transfer(self, partition_id: int, node: str) -> topology_pb2.Partition:
        """Transfers the primary to a node, or to any replica in sync for ""."""
        request = admin_pb2.TransferPrimaryRequest(partition_id=partition_id, node=node)
        admin_requests.transfer(request)
        answer: admin_pb2.TransferPrimaryResponse = await self._call(self._admin.TransferPrimary, request)
        return answer.partition

    async def repair(self, partition_id: int, *, apply: bool) -> admin_pb2.RepairPartitionResponse:
        """Compares the replicas. `apply`: rebuilds those that differ."""
        request = admin_pb2.RepairPartitionRequest(partition_id=partition_id, apply=apply)
        admin_requests.repair(request)
        return await self._call(self._admin.RepairPartition, request, max(self._seconds, REPAIR_SECONDS))

    async def force_primary(self, partition_id: int, node: str) -> topology_pb2.Partition:
        """Makes the replica on a node the primary, whatever the others hold."""
        request = admin_pb2.ForcePrimaryRequest(partition_id=partition_id, node=node)
        admin_requests.force(request)
        answer: admin_pb2.ForcePrimaryResponse = await self._call(self._admin.ForcePrimary, request)
        return answer.partition

    async def compact(self, node: str, wanted: KeyRange, resume: bytes) -> admin_pb2.CompactNodeResponse:
        """One step of a compaction: about two seconds, more on a slow disk."""
        request = admin_pb2.CompactNodeRequest(node=node, start=wanted.start, end=wanted.end or b"", resume=resume)
        admin_requests.compact(request)
        return await self._call(self._admin.CompactNode, request, max(self._seconds, COMPACT_SECONDS))

    async def set_desired_state(self, node: str, state: DesiredState.ValueType, replacement: str = "") -> None:
        """Sets the desired state of a node."""
        request = admin_pb2.SetDesiredStateRequest(node=node, desired_state=state, replacement=replacement)
        admin_requests.desired_state(request)
        await self._call(self._admin.SetDesiredState, request)

    async def controller(self) -> admin_pb2.GetControllerResponse:
        """The leader, the settings and the plan."""
        return await self._call(self._admin.GetController, admin_pb2.GetControllerRequest())

    async def configure(self, **settings: Any) -> admin_pb2.ControllerSettings:
        """Changes the named settings."""
        request = admin_pb2.SetControllerRequest(
            settings=admin_pb2.ControllerSettings(**settings), fields=list(settings)
        )
        admin_requests.settings(request)
        answer: admin_pb2.SetControllerResponse = await self._call(self._admin.SetController, request)
        return answer.settings

    async def events(self, limit: int) -> list[admin_pb2.Event]:
        """The newest events, newest first."""
        request = admin_pb2.ListEventsRequest(limit=limit)
        admin_requests.events(request)
        return list((await self._call(self._admin.ListEvents, request)).events)

    async def _call(self, method: Callable[..., Awaitable[T]], request: Message, seconds: float | None = None) -> T:
        cancellation = Cancellation()
        try:
            answer = await method(request, timeout=seconds or self._seconds)
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from None
        if cancellation.requested:
            raise asyncio.CancelledError
        return answer


@asynccontextmanager
async def reach(target: Target) -> AsyncIterator[Cluster]:
    """The cluster behind a router. Raises CliError."""
    operator = OperatorCredentials(_token())
    async with told_apart(target.router), GRPC.connect(target.router, credentials=operator) as channel:
        await refuse_node(channel, target.router)
        yield Cluster(channel, target.timeout)


def _token() -> str | None:
    file = os.environ.get(TOKEN_VARIABLE)
    if not file:
        return None
    try:
        token = tokens.read(Path(file))
    except (OSError, ValueError) as error:
        raise CliError(
            f"{TOKEN_VARIABLE} names {file!r}: {error}", "name the file that the routers have", USAGE
        ) from None
    if not (token.isascii() and token.isprintable()):
        raise CliError(
            f"{TOKEN_VARIABLE} names {file!r}, which holds no token", "name the file that the routers have", USAGE
        )
    return token
