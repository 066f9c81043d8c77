"""The Admin service of one node: what it holds, and the split of one of its partitions."""

from typing import Protocol

import grpc

from dstk.v1 import admin_pb2, admin_pb2_grpc, topology_pb2
from dstk_keytypes import Key
from dstk_service import requests
from dstk_storage.domain.partition import Partition
from dstk_storage.domain.store import Store
from dstk_storage.servicers.translate import Translator


class Operations(Protocol):
    """What an operator can ask of a node beyond its data."""

    async def split(self, at: Key) -> tuple[topology_pb2.Partition, topology_pb2.Partition]:
        """Splits the partition of `at`; returns when this node serves both halves."""

    def status(self) -> admin_pb2.NodeStatus:
        """This node."""

    def entry(self, partition: Partition) -> topology_pb2.Partition:
        """The partition as the map describes it."""


class AdminServicer(admin_pb2_grpc.AdminServicer):
    """Answers for this node alone."""

    def __init__(self, store: Store, operations: Operations, translate: Translator) -> None:
        self._store = store
        self._operations = operations
        self._translate = translate

    async def ListPartitions(
        self, request: admin_pb2.ListPartitionsRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.ListPartitionsResponse:
        """See admin.proto."""
        statuses = [_status(partition, self._operations.entry(partition)) for partition in self._store.table]
        return admin_pb2.ListPartitionsResponse(partitions=statuses)

    async def ListNodes(
        self, request: admin_pb2.ListNodesRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.ListNodesResponse:
        """See admin.proto."""
        return admin_pb2.ListNodesResponse(nodes=[self._operations.status()])

    async def SplitPartition(
        self, request: admin_pb2.SplitPartitionRequest, context: grpc.aio.ServicerContext
    ) -> admin_pb2.SplitPartitionResponse:
        """See admin.proto."""
        requests.key(request.at, "at")
        with self._translate:
            self._store.table.owner(request.at)
        lower, upper = await self._operations.split(Key(request.at))
        return admin_pb2.SplitPartitionResponse(lower=lower, upper=upper)


def _status(partition: Partition, entry: topology_pb2.Partition) -> admin_pb2.PartitionStatus:
    activity = partition.activity
    return admin_pb2.PartitionStatus(
        partition=entry,
        serving=not partition.quarantined,
        estimated_records=round(partition.estimate.records),
        estimated_bytes=round(partition.estimate.bytes),
        sequence=partition.sequence,
        reads=activity.reads,
        writes=activity.writes,
        scanned=activity.scanned,
        errors=activity.errors,
        known=True,
    )
