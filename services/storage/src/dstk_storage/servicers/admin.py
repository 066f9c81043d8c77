"""The Admin service of one node: what it holds, changes of the partitions that it is the primary of, and the controller."""

from typing import Protocol

import grpc

from dstk.v1 import admin_pb2, admin_pb2_grpc, topology_pb2
from dstk_keytypes import Key, KeyRange
from dstk_service import admin_requests
from dstk_service.errors import InvalidArgument
from dstk_storage.servicers.translate import Translator

Halves = tuple[topology_pb2.Partition, topology_pb2.Partition]
"""The lower and the upper half of what was split."""


class Operations(Protocol):
    """What an operator can ask of a node beyond its data.

    Changes of a partition return the map's entry afterwards, as soon as this node acts by it. They raise NotOwner with the
    map's entry where this node is not the primary, Unfit for what is in the way, NotServing while etcd does not answer;
    refusals of the domain are translated.
    """

    async def split(self, at: Key) -> Halves:
        """Splits the partition of `at`; InvalidArgument where it starts already."""

    async def split_middle(self, partition_id: int, *, by_load: bool) -> Halves:
        """Splits a partition in the middle of its bytes, or of its operations of late."""

    async def merge(self, at: Key) -> topology_pb2.Partition:
        """Merges the partition that starts at `at` into its lower neighbour; InvalidArgument where none starts."""

    async def add_replica(self, partition_id: int, node: str) -> topology_pb2.Partition:
        """Has a node hold a replica: a learner at first. Idempotent."""

    async def remove_replica(self, partition_id: int, node: str) -> topology_pb2.Partition:
        """Has a node hold none any more. Idempotent."""

    async def transfer(self, partition_id: int, node: str | None) -> topology_pb2.Partition:
        """Hands over to a replica in sync; None: to any."""

    async def repair(self, partition_id: int, *, apply: bool) -> admin_pb2.RepairPartitionResponse:
        """Compares the replicas with the primary's, and begins to rebuild those that differ."""

    async def compact(self, wanted: KeyRange, resume: bytes) -> admin_pb2.CompactNodeResponse:
        """Compacts for some two seconds, from where an earlier call has ended (empty: from the start of the range)."""

    async def force_primary(self, partition_id: int) -> topology_pb2.Partition:
        """Makes this node the primary with what it has."""

    def replicas(self) -> list[admin_pb2.ReplicaStatus]:
        """Every replica on this node, by partition."""

    def partitions(self) -> list[admin_pb2.PartitionStatus]:
        """The partitions that this node is the primary of, by start of range, with its own figures (`known`)."""

    def status(self) -> admin_pb2.NodeStatus:
        """This node: `alive`, and with its id at all times."""


class Desk(Protocol):
    """The controller's desk, which every node has: what it says and takes is the cluster's, kept in etcd.

    Raises NotServing while etcd does not answer.
    """

    async def set_desired_state(self, request: admin_pb2.SetDesiredStateRequest) -> None:
        """Replaces the desired state of a node."""

    async def controller(self) -> admin_pb2.GetControllerResponse:
        """Who is the controller, its settings, and what it would do next."""

    async def configure(self, request: admin_pb2.SetControllerRequest) -> admin_pb2.SetControllerResponse:
        """Changes the settings that the request names."""

    async def events(self, limit: int) -> admin_pb2.ListEventsResponse:
        """What was done to the map, newest first."""

    def absent(self) -> list[admin_pb2.NodeStatus]:
        """Returns the nodes that are not alive but have a desired state; only id and desired state are set. Does no I/O."""


class AdminServicer(admin_pb2_grpc.AdminServicer):
    """Answers for this node alone, and for the controller."""

    def __init__(self, operations: Operations, desk: Desk, translate: Translator) -> None:
        self._operations = operations
        self._desk = desk
        self._translate = translate

    async def ListPartitions(
        self, request: admin_pb2.ListPartitionsRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.ListPartitionsResponse:
        """See admin.proto."""
        return admin_pb2.ListPartitionsResponse(partitions=self._operations.partitions())

    async def ListNodes(
        self, request: admin_pb2.ListNodesRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.ListNodesResponse:
        """See admin.proto. Includes nodes that only a desired state names, so that a router need not ask etcd."""
        statuses = [self._operations.status(), *self._desk.absent()]
        return admin_pb2.ListNodesResponse(nodes=sorted(statuses, key=lambda status: status.node.id))

    async def ListReplicas(
        self, request: admin_pb2.ListReplicasRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.ListReplicasResponse:
        """See admin.proto."""
        return admin_pb2.ListReplicasResponse(replicas=self._operations.replicas())

    async def SplitPartition(
        self, request: admin_pb2.SplitPartitionRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.SplitPartitionResponse:
        """See admin.proto."""
        admin_requests.split(request)
        with self._translate:
            if request.at:
                lower, upper = await self._operations.split(Key(request.at))
            else:
                lower, upper = await self._operations.split_middle(request.partition_id, by_load=request.by_load)
        return admin_pb2.SplitPartitionResponse(lower=lower, upper=upper)

    async def MergePartitions(
        self, request: admin_pb2.MergePartitionsRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.MergePartitionsResponse:
        """See admin.proto."""
        admin_requests.merge(request)
        with self._translate:
            return admin_pb2.MergePartitionsResponse(merged=await self._operations.merge(Key(request.at)))

    async def AddReplica(
        self, request: admin_pb2.AddReplicaRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.AddReplicaResponse:
        """See admin.proto."""
        admin_requests.replica(request)
        with self._translate:
            entry = await self._operations.add_replica(request.partition_id, request.node)
        return admin_pb2.AddReplicaResponse(partition=entry)

    async def RemoveReplica(
        self, request: admin_pb2.RemoveReplicaRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.RemoveReplicaResponse:
        """See admin.proto."""
        admin_requests.replica(request)
        with self._translate:
            entry = await self._operations.remove_replica(request.partition_id, request.node)
        return admin_pb2.RemoveReplicaResponse(partition=entry)

    async def TransferPrimary(
        self, request: admin_pb2.TransferPrimaryRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.TransferPrimaryResponse:
        """See admin.proto."""
        admin_requests.transfer(request)
        with self._translate:
            entry = await self._operations.transfer(request.partition_id, request.node or None)
        return admin_pb2.TransferPrimaryResponse(partition=entry)

    async def RepairPartition(
        self, request: admin_pb2.RepairPartitionRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.RepairPartitionResponse:
        """See admin.proto."""
        admin_requests.repair(request)
        with self._translate:
            return await self._operations.repair(request.partition_id, apply=request.apply)

    async def ForcePrimary(
        self, request: admin_pb2.ForcePrimaryRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.ForcePrimaryResponse:
        """See admin.proto. Only for itself: which node is meant must be beyond doubt where writes can be lost."""
        admin_requests.force(request)
        self._must_be_me(request.node)
        with self._translate:
            entry = await self._operations.force_primary(request.partition_id)
        return admin_pb2.ForcePrimaryResponse(partition=entry)

    async def CompactNode(
        self, request: admin_pb2.CompactNodeRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.CompactNodeResponse:
        """See admin.proto."""
        admin_requests.compact(request)
        self._must_be_me(request.node)
        with self._translate:
            wanted = KeyRange(request.start, request.end or None)
            return await self._operations.compact(wanted, request.resume)

    async def SetDesiredState(
        self, request: admin_pb2.SetDesiredStateRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.SetDesiredStateResponse:
        """See admin.proto."""
        admin_requests.desired_state(request)
        await self._desk.set_desired_state(request)
        return admin_pb2.SetDesiredStateResponse()

    async def GetController(
        self, request: admin_pb2.GetControllerRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.GetControllerResponse:
        """See admin.proto."""
        return await self._desk.controller()

    async def SetController(
        self, request: admin_pb2.SetControllerRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.SetControllerResponse:
        """See admin.proto."""
        admin_requests.settings(request)
        return await self._desk.configure(request)

    async def ListEvents(
        self, request: admin_pb2.ListEventsRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.ListEventsResponse:
        """See admin.proto."""
        admin_requests.events(request)
        return await self._desk.events(request.limit)

    def _must_be_me(self, node: str) -> None:
        me = self._operations.status().node.id
        if node != me:
            limit = f"{me!r}, the node that is asked; a router passes the call to whichever is named"
            raise InvalidArgument("node", repr(node), limit)
