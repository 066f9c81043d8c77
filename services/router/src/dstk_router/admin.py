"""The Admin service of the router: passes a call to the node that it is about, or puts the answers of all together."""

from contextlib import suppress

import grpc

from dstk.v1 import admin_pb2, admin_pb2_grpc
from dstk_client.locating import ThickLocator
from dstk_router import merging
from dstk_router.asking import ANY_SECONDS, COMPACT_SECONDS, REPAIR_SECONDS, SILENT, Asking
from dstk_service import admin_requests


class AdminServicer(admin_pb2_grpc.AdminServicer):
    """A node that does not answer is named, and what the map knows of it is shown without figures."""

    def __init__(self, locator: ThickLocator, token: str | None) -> None:
        self._nodes = Asking(locator, token)
        self._map = locator.topology

    async def ListPartitions(
        self, request: admin_pb2.ListPartitionsRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.ListPartitionsResponse:
        """See admin.proto."""
        primaries = {route.primary for route in self._map.table.routes}
        answers = await self._nodes.all(primaries, lambda node: node.ListPartitions, request)
        entries = [self._map.entries[route.id] for route in self._map.table.routes]
        return admin_pb2.ListPartitionsResponse(
            partitions=merging.partitions(entries, answers), unreachable_nodes=merging.silent(answers)
        )

    async def ListNodes(
        self, request: admin_pb2.ListNodesRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.ListNodesResponse:
        """See admin.proto."""
        known = self._known()
        answers = await self._nodes.all(known, lambda node: node.ListNodes, request)
        return admin_pb2.ListNodesResponse(nodes=merging.nodes(self._map.nodes, known, answers))

    async def ListReplicas(
        self, request: admin_pb2.ListReplicasRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.ListReplicasResponse:
        """See admin.proto."""
        answers = await self._nodes.all(self._known(), lambda node: node.ListReplicas, request)
        return admin_pb2.ListReplicasResponse(
            replicas=merging.replicas(answers), unreachable_nodes=merging.silent(answers)
        )

    async def SplitPartition(
        self, request: admin_pb2.SplitPartitionRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.SplitPartitionResponse:
        """See admin.proto."""
        admin_requests.split(request)
        if request.at:
            return await self._nodes.primary_of(request.at, lambda node: node.SplitPartition, request)
        return await self._nodes.primary(request.partition_id, lambda node: node.SplitPartition, request)

    async def MergePartitions(
        self, request: admin_pb2.MergePartitionsRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.MergePartitionsResponse:
        """See admin.proto. The partition that starts at the key says whether both can be merged."""
        admin_requests.merge(request)
        return await self._nodes.primary_of(request.at, lambda node: node.MergePartitions, request)

    async def AddReplica(
        self, request: admin_pb2.AddReplicaRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.AddReplicaResponse:
        """See admin.proto."""
        admin_requests.replica(request)
        return await self._nodes.primary(request.partition_id, lambda node: node.AddReplica, request)

    async def RemoveReplica(
        self, request: admin_pb2.RemoveReplicaRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.RemoveReplicaResponse:
        """See admin.proto."""
        admin_requests.replica(request)
        return await self._nodes.primary(request.partition_id, lambda node: node.RemoveReplica, request)

    async def TransferPrimary(
        self, request: admin_pb2.TransferPrimaryRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.TransferPrimaryResponse:
        """See admin.proto."""
        admin_requests.transfer(request)
        return await self._nodes.primary(request.partition_id, lambda node: node.TransferPrimary, request)

    async def RepairPartition(
        self, request: admin_pb2.RepairPartitionRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.RepairPartitionResponse:
        """See admin.proto."""
        admin_requests.repair(request)
        return await self._nodes.primary(
            request.partition_id, lambda node: node.RepairPartition, request, REPAIR_SECONDS
        )

    async def ForcePrimary(
        self, request: admin_pb2.ForcePrimaryRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.ForcePrimaryResponse:
        """See admin.proto."""
        admin_requests.force(request)
        return await self._nodes.named(request.node, lambda node: node.ForcePrimary, request)

    async def CompactNode(
        self, request: admin_pb2.CompactNodeRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.CompactNodeResponse:
        """See admin.proto."""
        admin_requests.compact(request)
        return await self._nodes.named(request.node, lambda node: node.CompactNode, request, COMPACT_SECONDS)

    async def SetDesiredState(
        self, request: admin_pb2.SetDesiredStateRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.SetDesiredStateResponse:
        """See admin.proto."""
        admin_requests.desired_state(request)
        return await self._nodes.any(lambda node: node.SetDesiredState, request)

    async def GetController(
        self, request: admin_pb2.GetControllerRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.GetControllerResponse:
        """See admin.proto. Only the leader knows what is under way and what it has decided. Where it does not answer, another
        node says what it would do in its place.
        """
        answer: admin_pb2.GetControllerResponse = await self._nodes.any(lambda node: node.GetController, request)
        if answer.leader:
            with suppress(*SILENT):
                return await self._nodes.named(answer.leader, lambda node: node.GetController, request, ANY_SECONDS)
        return answer

    async def SetController(
        self, request: admin_pb2.SetControllerRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.SetControllerResponse:
        """See admin.proto."""
        admin_requests.settings(request)
        return await self._nodes.any(lambda node: node.SetController, request)

    async def ListEvents(
        self, request: admin_pb2.ListEventsRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.ListEventsResponse:
        """See admin.proto."""
        admin_requests.events(request)
        return await self._nodes.any(lambda node: node.ListEvents, request)

    def _known(self) -> set[str]:
        return merging.names_in(self._map.entries.values()) | set(self._map.nodes)
