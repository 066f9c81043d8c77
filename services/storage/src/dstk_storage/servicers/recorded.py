"""The Admin service, recording what operators do. The controller marks its own calls, and records them itself."""

from collections.abc import Iterable
from typing import Protocol

import grpc
from typing_extensions import override

from dstk.v1 import admin_pb2
from dstk_cluster.events import Origin, origin_of
from dstk_storage.servicers.admin import AdminServicer, ClusterAdminApi, NodeAdminApi, PartitionAdminApi
from dstk_storage.servicers.translate import Translator


class Recorder(Protocol):
    """Records operators' actions."""

    async def record(self, action: str, partitions: Iterable[int], subject: str = "", reason: str = "") -> None:
        """Records `action` on the first of `partitions`; the second is the upper half of a split. Never fails."""


class RecordedAdminServicer(AdminServicer):
    """Records each change after it was made."""

    def __init__(
        self,
        partitions: PartitionAdminApi,
        node: NodeAdminApi,
        cluster: ClusterAdminApi,
        translate: Translator,
        recorder: Recorder,
    ) -> None:
        super().__init__(partitions, node, cluster, translate)
        self._recorder = recorder

    @override
    async def SplitPartition(
        self, request: admin_pb2.SplitPartitionRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.SplitPartitionResponse:
        answer = await super().SplitPartition(request, context)
        await self._record(context, "split", answer.lower.id, answer.upper.id)
        return answer

    @override
    async def MergePartitions(
        self, request: admin_pb2.MergePartitionsRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.MergePartitionsResponse:
        answer = await super().MergePartitions(request, context)
        await self._record(context, "merge", answer.merged.id)
        return answer

    @override
    async def AddReplica(
        self, request: admin_pb2.AddReplicaRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.AddReplicaResponse:
        answer = await super().AddReplica(request, context)
        await self._record(context, "add_replica", answer.partition.id, subject=request.node)
        return answer

    @override
    async def RemoveReplica(
        self, request: admin_pb2.RemoveReplicaRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.RemoveReplicaResponse:
        answer = await super().RemoveReplica(request, context)
        await self._record(context, "remove_replica", answer.partition.id, subject=request.node)
        return answer

    @override
    async def TransferPrimary(
        self, request: admin_pb2.TransferPrimaryRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.TransferPrimaryResponse:
        answer = await super().TransferPrimary(request, context)
        await self._record(context, "transfer_primary", answer.partition.id, subject=answer.partition.primary)
        return answer

    @override
    async def RepairPartition(
        self, request: admin_pb2.RepairPartitionRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.RepairPartitionResponse:
        answer = await super().RepairPartition(request, context)
        begun = [replica.node for replica in answer.replicas if replica.rebuild_started]
        if begun:
            reason = f"{', '.join(begun)} differ from the primary and are being rebuilt"
            await self._record(context, "repair", request.partition_id, reason=reason)
        return answer

    @override
    async def ForcePrimary(
        self, request: admin_pb2.ForcePrimaryRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.ForcePrimaryResponse:
        answer = await super().ForcePrimary(request, context)
        await self._record(context, "force_primary", request.partition_id, subject=request.node)
        return answer

    async def _record(
        self, context: grpc.aio.ServicerContext, action: str, *partitions: int, subject: str = "", reason: str = ""
    ) -> None:
        if origin_of(dict(context.invocation_metadata() or ())) is Origin.OPERATOR:
            await self._recorder.record(action, partitions, subject, reason)
