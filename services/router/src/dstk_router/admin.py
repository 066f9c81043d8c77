"""The Admin service of the router: forwards a call to the node that it concerns, or merges the answers of all nodes."""

import grpc
from typing_extensions import override

from dstk.v1 import admin_pb2, admin_pb2_grpc
from dstk_client.admin import AdminLinks
from dstk_client.asking import COMPACT_SECONDS, REPAIR_SECONDS, Asking
from dstk_client.cluster_admin import ClusterAdmin
from dstk_client.topology import Topology
from dstk_service import admin_requests


class AdminServicer(admin_pb2_grpc.AdminServicer):
    """Answers for the whole cluster. A node that does not answer is named, and shown as the map knows it, without figures."""

    def __init__(self, topology: Topology, links: AdminLinks) -> None:
        self._nodes = Asking(topology, links)
        self._cluster = ClusterAdmin(topology, links)

    @override
    async def ListPartitions(
        self, request: admin_pb2.ListPartitionsRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.ListPartitionsResponse:
        return await self._cluster.partitions()

    @override
    async def ListNodes(
        self, request: admin_pb2.ListNodesRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.ListNodesResponse:
        return admin_pb2.ListNodesResponse(nodes=await self._cluster.nodes())

    @override
    async def ListReplicas(
        self, request: admin_pb2.ListReplicasRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.ListReplicasResponse:
        return await self._cluster.replicas()

    @override
    async def ListLoads(
        self, request: admin_pb2.ListLoadsRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.ListLoadsResponse:
        admin_requests.loads(request)
        return await self._nodes.named(request.node, lambda node: node.ListLoads, request)

    @override
    async def SplitPartition(
        self, request: admin_pb2.SplitPartitionRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.SplitPartitionResponse:
        admin_requests.split(request)
        if request.at:
            return await self._nodes.primary_of(request.at, lambda node: node.SplitPartition, request)
        return await self._nodes.primary(request.partition_id, lambda node: node.SplitPartition, request)

    @override
    async def MergePartitions(
        self, request: admin_pb2.MergePartitionsRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.MergePartitionsResponse:
        # the primary of the partition that starts at the key decides whether the two can be merged
        admin_requests.merge(request)
        return await self._nodes.primary_of(request.at, lambda node: node.MergePartitions, request)

    @override
    async def AddReplica(
        self, request: admin_pb2.AddReplicaRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.AddReplicaResponse:
        admin_requests.replica(request)
        return await self._nodes.primary(request.partition_id, lambda node: node.AddReplica, request)

    @override
    async def RemoveReplica(
        self, request: admin_pb2.RemoveReplicaRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.RemoveReplicaResponse:
        admin_requests.replica(request)
        return await self._nodes.primary(request.partition_id, lambda node: node.RemoveReplica, request)

    @override
    async def TransferPrimary(
        self, request: admin_pb2.TransferPrimaryRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.TransferPrimaryResponse:
        admin_requests.transfer(request)
        return await self._nodes.primary(request.partition_id, lambda node: node.TransferPrimary, request)

    @override
    async def RepairPartition(
        self, request: admin_pb2.RepairPartitionRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.RepairPartitionResponse:
        admin_requests.repair(request)
        return await self._nodes.primary(
            request.partition_id, lambda node: node.RepairPartition, request, REPAIR_SECONDS
        )

    @override
    async def ForcePrimary(
        self, request: admin_pb2.ForcePrimaryRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.ForcePrimaryResponse:
        admin_requests.force(request)
        return await self._nodes.named(request.node, lambda node: node.ForcePrimary, request)

    @override
    async def CompactNode(
        self, request: admin_pb2.CompactNodeRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.CompactNodeResponse:
        admin_requests.compact(request)
        return await self._nodes.named(request.node, lambda node: node.CompactNode, request, COMPACT_SECONDS)

    @override
    async def SetDesiredState(
        self, request: admin_pb2.SetDesiredStateRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.SetDesiredStateResponse:
        admin_requests.desired_state(request)
        return await self._nodes.any(lambda node: node.SetDesiredState, request)

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
        return await self._nodes.any(lambda node: node.SetController, request)

    @override
    async def ListEvents(
        self, request: admin_pb2.ListEventsRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.ListEventsResponse:
        admin_requests.events(request)
        return await self._nodes.any(lambda node: node.ListEvents, request)
