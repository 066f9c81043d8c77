"""What operators can ask of a node whose partitions have one replica each. Goes when the node itself serves Operations."""

from typing import NoReturn

from dstk.v1 import admin_pb2, topology_pb2
from dstk_keytypes import Key
from dstk_service.errors import Unfit
from dstk_storage.domain.partition import Partition
from dstk_storage.domain.store import Store
from dstk_storage.node import StorageNode
from dstk_storage.servicers.admin import Halves


class Unreplicated:
    """See servicers.admin.Operations."""

    def __init__(self, store: Store, node: StorageNode) -> None:
        self._store = store
        self._node = node

    async def split(self, at: Key) -> Halves:
        """See Operations."""
        self._store.table.owner(at)
        return await self._node.split(at)

    async def split_middle(self, partition_id: int, *, by_load: bool) -> Halves:  # noqa: ARG002
        """See Operations."""
        _refuse()

    async def merge(self, at: Key) -> topology_pb2.Partition:  # noqa: ARG002
        """See Operations."""
        _refuse()

    async def add_replica(self, partition_id: int, node: str) -> topology_pb2.Partition:  # noqa: ARG002
        """See Operations."""
        _refuse()

    async def remove_replica(self, partition_id: int, node: str) -> topology_pb2.Partition:  # noqa: ARG002
        """See Operations."""
        _refuse()

    async def switch(self, partition_id: int, node: str | None) -> topology_pb2.Partition:  # noqa: ARG002
        """See Operations."""
        _refuse()

    async def repair(self, partition_id: int, *, apply: bool) -> admin_pb2.RepairPartitionResponse:  # noqa: ARG002
        """See Operations."""
        _refuse()

    async def force_primary(self, partition_id: int) -> topology_pb2.Partition:  # noqa: ARG002
        """See Operations."""
        _refuse()

    def replicas(self) -> list[admin_pb2.ReplicaStatus]:
        """See Operations."""
        me = self._node.status().node.id
        return [_replica(partition, me) for partition in sorted(self._store.table, key=lambda each: each.id)]

    def partitions(self) -> list[admin_pb2.PartitionStatus]:
        """See Operations."""
        return [_status(partition, self._node.entry(partition)) for partition in self._store.table]

    def status(self) -> admin_pb2.NodeStatus:
        """See Operations."""
        status = self._node.status()
        status.alive, status.etcd_reachable, status.replicas = True, True, status.primaries
        status.wish = admin_pb2.NODE_WISH_NONE
        return status


class NoController:
    """See servicers.admin.Desk."""

    async def set_wish(self, request: admin_pb2.SetNodeWishRequest) -> None:  # noqa: ARG002
        """See Desk."""
        _refuse()

    async def controller(self) -> admin_pb2.GetControllerResponse:
        """See Desk."""
        return admin_pb2.GetControllerResponse(settings=admin_pb2.ControllerSettings(replicas=1))

    async def configure(self, request: admin_pb2.SetControllerRequest) -> admin_pb2.SetControllerResponse:  # noqa: ARG002
        """See Desk."""
        _refuse()

    async def events(self, limit: int) -> admin_pb2.ListEventsResponse:  # noqa: ARG002
        """See Desk."""
        return admin_pb2.ListEventsResponse()

    def absent(self) -> list[admin_pb2.NodeStatus]:
        """See Desk."""
        return []


def _refuse() -> NoReturn:
    raise Unfit("storage nodes of this version hold one replica of each partition, and have no controller")


def _replica(partition: Partition, node: str) -> admin_pb2.ReplicaStatus:
    return admin_pb2.ReplicaStatus(
        partition_id=partition.id,
        node=node,
        start=partition.range.start,
        end=partition.range.end or b"",
        epoch=partition.epoch,
        position_epoch=partition.epoch,
        position_sequence=partition.sequence,
        primary=True,
        quarantined=partition.quarantined,
    )


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
