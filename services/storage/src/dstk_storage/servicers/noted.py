"""The Admin service, taking notes of what operators do. The controller's own calls say that they are its, and it writes them
down itself.
"""

import grpc

from dstk.v1 import admin_pb2
from dstk_cluster.events import Origin, origin_of
from dstk_storage.notes import OperatorNotes
from dstk_storage.servicers.admin import AdminServicer, Desk, Operations
from dstk_storage.servicers.translate import Translator


class NotedAdminServicer(AdminServicer):
    """See AdminServicer."""

    def __init__(self, operations: Operations, desk: Desk, translate: Translator, notes: OperatorNotes) -> None:
        super().__init__(operations, desk, translate)
        self._notes = notes

    async def SplitPartition(
        self, request: admin_pb2.SplitPartitionRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.SplitPartitionResponse:
        """See admin.proto."""
        answer = await super().SplitPartition(request, context)
        await self._note(context, "split", answer.lower.id, answer.upper.id)
        return answer

    async def MergePartitions(
        self, request: admin_pb2.MergePartitionsRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.MergePartitionsResponse:
        """See admin.proto."""
        answer = await super().MergePartitions(request, context)
        await self._note(context, "merge", answer.merged.id)
        return answer

    async def AddReplica(
        self, request: admin_pb2.AddReplicaRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.AddReplicaResponse:
        """See admin.proto."""
        answer = await super().AddReplica(request, context)
        await self._note(context, "add_replica", answer.partition.id, subject=request.node)
        return answer

    async def RemoveReplica(
        self, request: admin_pb2.RemoveReplicaRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.RemoveReplicaResponse:
        """See admin.proto."""
        answer = await super().RemoveReplica(request, context)
        await self._note(context, "remove_replica", answer.partition.id, subject=request.node)
        return answer

    async def TransferPrimary(
        self, request: admin_pb2.TransferPrimaryRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.TransferPrimaryResponse:
        """See admin.proto."""
        answer = await super().TransferPrimary(request, context)
        await self._note(context, "transfer_primary", answer.partition.id, subject=answer.partition.primary)
        return answer

    async def RepairPartition(
        self, request: admin_pb2.RepairPartitionRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.RepairPartitionResponse:
        """See admin.proto."""
        answer = await super().RepairPartition(request, context)
        begun = [replica.node for replica in answer.replicas if replica.rebuild_begun]
        if begun:
            reason = f"{', '.join(begun)} differ from the primary and are being rebuilt"
            await self._note(context, "repair", request.partition_id, reason=reason)
        return answer

    async def ForcePrimary(
        self, request: admin_pb2.ForcePrimaryRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.ForcePrimaryResponse:
        """See admin.proto."""
        answer = await super().ForcePrimary(request, context)
        await self._note(context, "force_primary", request.partition_id, subject=request.node)
        return answer

    async def _note(
        self, context: grpc.aio.ServicerContext, action: str, *partitions: int, subject: str = "", reason: str = ""
    ) -> None:
        if origin_of(dict(context.invocation_metadata() or ())) is Origin.OPERATOR:
            await self._notes.note(action, partitions, subject, reason)
