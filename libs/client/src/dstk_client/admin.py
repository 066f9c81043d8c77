"""The client of the Admin service: one typed method for each call, to a router or to one storage node."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from google.protobuf.message import Message

from dstk.v1 import admin_pb2, admin_pb2_grpc, topology_pb2
from dstk_client.links import Links
from dstk_client.unary_calls import UnaryCalls
from dstk_keytypes import KeyRange
from dstk_service import admin_requests
from dstk_service.transport.credentials import Credentials, Metadata
from dstk_service.transport.port import Channel, Connector

T = TypeVar("T")

AdminMethod = Callable[[admin_pb2_grpc.AdminStub], Callable[..., Awaitable[T]]]
"""Selects a method of Admin."""

REPAIR_SECONDS = 600.0
COMPACT_SECONDS = 65.0
"""The least timeouts of the two calls that read a partition or a node's disk."""


class AdminClient(UnaryCalls[admin_pb2_grpc.AdminStub]):
    """Admin calls over one channel. A request outside its bounds raises InvalidArgument and is not sent.

    `where` names the server in errors; `seconds` is the timeout of a call. All methods raise DstkError: NotServing when nothing
    was done, WriteAmbiguous or DeadlineExceeded when a change may have been made.
    """

    def __init__(
        self,
        channel: Channel,
        where: str,
        seconds: float,
        *,
        one_of_many: bool = False,
        patience_seconds: float = 0.0,
    ) -> None:
        stub = admin_pb2_grpc.AdminStub(channel)
        super().__init__(channel, stub, where, one_of_many=one_of_many, patience_seconds=patience_seconds)
        self._seconds = seconds

    async def nodes(self) -> list[admin_pb2.NodeStatus]:
        """All nodes that are alive, or that the map or a desired state names."""
        return list((await self._read(lambda admin: admin.ListNodes, admin_pb2.ListNodesRequest())).nodes)

    async def partitions(self) -> admin_pb2.ListPartitionsResponse:
        """All partitions by key, with their primaries' figures."""
        return await self._read(lambda admin: admin.ListPartitions, admin_pb2.ListPartitionsRequest())

    async def replicas(self) -> admin_pb2.ListReplicasResponse:
        """All replicas as their own nodes report them."""
        return await self._read(lambda admin: admin.ListReplicas, admin_pb2.ListReplicasRequest())

    async def loads(self, node: str, session: str = "", version: int = 0) -> admin_pb2.ListLoadsResponse:
        """The figures of the partitions that a node is the primary of; those that changed since an earlier answer."""
        request = admin_pb2.ListLoadsRequest(node=node, session=session, version=version)
        admin_requests.loads(request)
        return await self._read(lambda admin: admin.ListLoads, request)

    async def split(
        self, *, at: bytes = b"", partition_id: int = 0, by_load: bool = False
    ) -> admin_pb2.SplitPartitionResponse:
        """Splits at a key, or in the middle of a partition."""
        request = admin_pb2.SplitPartitionRequest(at=at, partition_id=partition_id, by_load=by_load)
        admin_requests.split(request)
        return await self._ask(lambda admin: admin.SplitPartition, request)

    async def merge(self, at: bytes) -> topology_pb2.Partition:
        """Merges the partition that starts at the key into its lower neighbour."""
        request = admin_pb2.MergePartitionsRequest(at=at)
        admin_requests.merge(request)
        answer: admin_pb2.MergePartitionsResponse = await self._ask(lambda admin: admin.MergePartitions, request)
        return answer.merged

    async def add_replica(self, partition_id: int, node: str) -> topology_pb2.Partition:
        """Adds a replica, which starts as a learner."""
        request = admin_pb2.AddReplicaRequest(partition_id=partition_id, node=node)
        admin_requests.replica(request)
        answer: admin_pb2.AddReplicaResponse = await self._ask(lambda admin: admin.AddReplica, request)
        return answer.partition

    async def remove_replica(self, partition_id: int, node: str) -> topology_pb2.Partition:
        """Removes a replica."""
        request = admin_pb2.RemoveReplicaRequest(partition_id=partition_id, node=node)
        admin_requests.replica(request)
        answer: admin_pb2.RemoveReplicaResponse = await self._ask(lambda admin: admin.RemoveReplica, request)
        return answer.partition

    async def transfer(self, partition_id: int, node: str) -> topology_pb2.Partition:
        """Transfers the primary to a node, or to any replica in sync for ""."""
        request = admin_pb2.TransferPrimaryRequest(partition_id=partition_id, node=node)
        admin_requests.transfer(request)
        answer: admin_pb2.TransferPrimaryResponse = await self._ask(lambda admin: admin.TransferPrimary, request)
        return answer.partition

    async def repair(self, partition_id: int, *, apply: bool) -> admin_pb2.RepairPartitionResponse:
        """Compares the replicas. `apply`: rebuilds those that differ."""
        request = admin_pb2.RepairPartitionRequest(partition_id=partition_id, apply=apply)
        admin_requests.repair(request)
        return await self._ask(lambda admin: admin.RepairPartition, request, REPAIR_SECONDS)

    async def force_primary(self, partition_id: int, node: str) -> topology_pb2.Partition:
        """Makes the replica on a node the primary, whatever the others hold."""
        request = admin_pb2.ForcePrimaryRequest(partition_id=partition_id, node=node)
        admin_requests.force(request)
        answer: admin_pb2.ForcePrimaryResponse = await self._ask(lambda admin: admin.ForcePrimary, request)
        return answer.partition

    async def compact(self, node: str, wanted: KeyRange, resume: bytes) -> admin_pb2.CompactNodeResponse:
        """One step of a compaction: about two seconds, more on a slow disk."""
        request = admin_pb2.CompactNodeRequest(node=node, start=wanted.start, end=wanted.end or b"", resume=resume)
        admin_requests.compact(request)
        return await self._ask(lambda admin: admin.CompactNode, request, COMPACT_SECONDS)

    async def set_desired_state(
        self, node: str, state: admin_pb2.DesiredState.ValueType, replacement: str = ""
    ) -> None:
        """Sets the desired state of a node."""
        request = admin_pb2.SetDesiredStateRequest(node=node, desired_state=state, replacement=replacement)
        admin_requests.desired_state(request)
        await self._ask(lambda admin: admin.SetDesiredState, request)

    async def controller(self) -> admin_pb2.GetControllerResponse:
        """The leader, the settings and the plan."""
        return await self._read(lambda admin: admin.GetController, admin_pb2.GetControllerRequest())

    async def configure(self, **settings: Any) -> admin_pb2.ControllerSettings:
        """Changes the named settings."""
        request = admin_pb2.SetControllerRequest(
            settings=admin_pb2.ControllerSettings(**settings), fields=list(settings)
        )
        admin_requests.settings(request)
        answer: admin_pb2.SetControllerResponse = await self._ask(lambda admin: admin.SetController, request)
        return answer.settings

    async def events(self, limit: int) -> list[admin_pb2.Event]:
        """The newest events, newest first."""
        request = admin_pb2.ListEventsRequest(limit=limit)
        admin_requests.events(request)
        return list((await self._read(lambda admin: admin.ListEvents, request)).events)

    async def _ask(self, method: AdminMethod[T], request: Message, least: float = 0.0) -> T:
        return await self.call(method, request, max(self._seconds, least))

    async def _read(self, method: AdminMethod[T], request: Message) -> T:
        return await self.read(method, request, self._seconds)


class AdminLinks(Links[AdminClient]):
    """Links to storage nodes."""

    def __init__(self, connector: Connector, credentials: Credentials, seconds: float, metadata: Metadata = ()) -> None:
        def client(channel: Channel, node: str) -> AdminClient:
            return AdminClient(channel, f"node {node!r}", seconds, one_of_many=True)

        super().__init__(connector, client, credentials=credentials, metadata=metadata)
