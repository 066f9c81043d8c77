"""The Admin service of one node: its status, changes of the partitions that it is the primary of, and the controller."""

from typing import Protocol

import grpc
from typing_extensions import override

from dstk.v1 import admin_pb2, admin_pb2_grpc, topology_pb2
from dstk_keytypes import Key, KeyRange
from dstk_service import admin_requests
from dstk_service.errors import InvalidArgument
from dstk_storage.servicers.translate import Translator

Halves = tuple[topology_pb2.Partition, topology_pb2.Partition]
"""The lower and the upper half of a split."""


class PartitionAdminApi(Protocol):
    """Changes of the partitions that this node is the primary of.

    Each returns the map's new entry as soon as this node acts by it. Each raises NotOwner with the map's entry where this node
    is not the primary, PreconditionFailed when the partition or a node is in the wrong state, NotServing while etcd does not
    answer; the domain's refusals are translated.
    """

    async def split(self, at: Key) -> Halves:
        """Splits the partition that contains `at`. Raises InvalidArgument where a partition starts already."""

    async def split_middle(self, partition_id: int, *, by_load: bool) -> Halves:
        """Splits a partition in the middle of its bytes, or of its recent operations."""

    async def merge(self, at: Key) -> topology_pb2.Partition:
        """Merges the partition that starts at `at` into its lower neighbour. Raises InvalidArgument where none starts."""

    async def add_replica(self, partition_id: int, node: str) -> topology_pb2.Partition:
        """Adds a replica, a learner at first. Idempotent."""

    async def remove_replica(self, partition_id: int, node: str) -> topology_pb2.Partition:
        """Removes a replica. Idempotent."""

    async def transfer(self, partition_id: int, node: str | None) -> topology_pb2.Partition:
        """Hands the partition over to an in-sync replica; None: to any."""

    async def repair(self, partition_id: int, *, apply: bool) -> admin_pb2.RepairPartitionResponse:
        """Compares the replicas with the primary's; `apply`: begins to rebuild those that differ."""

    async def force_primary(self, partition_id: int) -> topology_pb2.Partition:
        """Makes this node the primary with the data that it has."""


class NodeAdminApi(Protocol):
    """What a node tells about itself, and its own upkeep."""

    @property
    def me(self) -> str:
        """The id of this node."""

    def replicas(self) -> list[admin_pb2.ReplicaStatus]:
        """Every replica on this node, by partition."""

    def partitions(self) -> list[admin_pb2.PartitionStatus]:
        """The partitions that this node is the primary of, by start of range, with its own figures (`known`)."""

    async def loads(self, session: str, version: int) -> admin_pb2.ListLoadsResponse:
        """The figures of those partitions, as far as they have changed since the answer with this session and version."""

    def status(self) -> admin_pb2.NodeStatus:
        """This node: `alive`, and always with its id."""

    async def compact(self, wanted: KeyRange, resume: bytes) -> admin_pb2.CompactNodeResponse:
        """Compacts for about two seconds, from where an earlier call has ended (empty: from the start of the range)."""


class ClusterAdminApi(Protocol):
    """The controller and the cluster's settings and events, which are in etcd: every node answers. Raises NotServing while etcd
    does not answer.
    """

    async def set_desired_state(self, request: admin_pb2.SetDesiredStateRequest) -> None:
        """Replaces the desired state of a node."""

    async def controller(self) -> admin_pb2.GetControllerResponse:
        """Which node is the controller, its settings, and what it would do next."""

    async def configure(self, request: admin_pb2.SetControllerRequest) -> admin_pb2.SetControllerResponse:
        """Changes the settings that the request names."""

    async def events(self, limit: int) -> admin_pb2.ListEventsResponse:
        """Changes of the map and of the cluster, newest first."""

    def absent(self) -> list[admin_pb2.NodeStatus]:
        """Returns the nodes that are not alive but have a desired state; only id and desired state are set. Does no I/O."""


class AdminServicer(admin_pb2_grpc.AdminServicer):
    """Answers for this node alone, and for the controller."""

    def __init__(
        self, partitions: PartitionAdminApi, node: NodeAdminApi, cluster: ClusterAdminApi, translate: Translator
    ) -> None:
        self._partitions, self._node, self._cluster = partitions, node, cluster
        self._translate = translate

    @override
    async def ListPartitions(
        self, request: admin_pb2.ListPartitionsRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.ListPartitionsResponse:
        return admin_pb2.ListPartitionsResponse(partitions=self._node.partitions())

    @override
    async def ListNodes(
        self, request: admin_pb2.ListNodesRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.ListNodesResponse:
        # nodes that only a desired state names are listed too, so that a router need not ask etcd
        statuses = [self._node.status(), *self._cluster.absent()]
        return admin_pb2.ListNodesResponse(nodes=sorted(statuses, key=lambda status: status.node.id))

    @override
    async def ListReplicas(
        self, request: admin_pb2.ListReplicasRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.ListReplicasResponse:
        return admin_pb2.ListReplicasResponse(replicas=self._node.replicas())

    @override
    async def ListLoads(
        self, request: admin_pb2.ListLoadsRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.ListLoadsResponse:
        admin_requests.loads(request)
        self._must_be_me(request.node)
        return await self._node.loads(request.session, request.version)

    @override
    async def SplitPartition(
        self, request: admin_pb2.SplitPartitionRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.SplitPartitionResponse:
        admin_requests.split(request)
        with self._translate:
            if request.at:
                lower, upper = await self._partitions.split(Key(request.at))
            else:
                lower, upper = await self._partitions.split_middle(request.partition_id, by_load=request.by_load)
        return admin_pb2.SplitPartitionResponse(lower=lower, upper=upper)

    @override
    async def MergePartitions(
        self, request: admin_pb2.MergePartitionsRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.MergePartitionsResponse:
        admin_requests.merge(request)
        with self._translate:
            return admin_pb2.MergePartitionsResponse(merged=await self._partitions.merge(Key(request.at)))

    @override
    async def AddReplica(
        self, request: admin_pb2.AddReplicaRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.AddReplicaResponse:
        admin_requests.replica(request)
        with self._translate:
            entry = await self._partitions.add_replica(request.partition_id, request.node)
        return admin_pb2.AddReplicaResponse(partition=entry)

    @override
    async def RemoveReplica(
        self, request: admin_pb2.RemoveReplicaRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.RemoveReplicaResponse:
        admin_requests.replica(request)
        with self._translate:
            entry = await self._partitions.remove_replica(request.partition_id, request.node)
        return admin_pb2.RemoveReplicaResponse(partition=entry)

    @override
    async def TransferPrimary(
        self, request: admin_pb2.TransferPrimaryRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.TransferPrimaryResponse:
        admin_requests.transfer(request)
        with self._translate:
            entry = await self._partitions.transfer(request.partition_id, request.node or None)
        return admin_pb2.TransferPrimaryResponse(partition=entry)

    @override
    async def RepairPartition(
        self, request: admin_pb2.RepairPartitionRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.RepairPartitionResponse:
        admin_requests.repair(request)
        with self._translate:
            return await self._partitions.repair(request.partition_id, apply=request.apply)

    @override
    async def ForcePrimary(
        self, request: admin_pb2.ForcePrimaryRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.ForcePrimaryResponse:
        # a node acts for itself alone: a call that can lose writes must not reach another one by mistake
        admin_requests.force(request)
        self._must_be_me(request.node)
        with self._translate:
            entry = await self._partitions.force_primary(request.partition_id)
        return admin_pb2.ForcePrimaryResponse(partition=entry)

    @override
    async def CompactNode(
        self, request: admin_pb2.CompactNodeRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.CompactNodeResponse:
        admin_requests.compact(request)
        self._must_be_me(request.node)
        with self._translate:
            wanted = KeyRange(request.start, request.end or None)
            return await self._node.compact(wanted, request.resume)

    @override
    async def SetDesiredState(
        self, request: admin_pb2.SetDesiredStateRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.SetDesiredStateResponse:
        admin_requests.desired_state(request)
        await self._cluster.set_desired_state(request)
        return admin_pb2.SetDesiredStateResponse()

    @override
    async def GetController(
        self, request: admin_pb2.GetControllerRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.GetControllerResponse:
        return await self._cluster.controller()

    @override
    async def SetController(
        self, request: admin_pb2.SetControllerRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.SetControllerResponse:
        admin_requests.settings(request)
        return await self._cluster.configure(request)

    @override
    async def ListEvents(
        self, request: admin_pb2.ListEventsRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.ListEventsResponse:
        admin_requests.events(request)
        return await self._cluster.events(request.limit)

    def _must_be_me(self, node: str) -> None:
        me = str(self._node.me)
        if node != me:
            limit = f"{me!r}, the node that is asked; a router passes the call to whichever is named"
            raise InvalidArgument("node", repr(node), limit)
