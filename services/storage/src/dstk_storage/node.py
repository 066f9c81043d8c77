"""A storage node among others: follows the partition map, splits, and tells what it is."""

import asyncio
import logging
from dataclasses import dataclass

from dstk.v1 import admin_pb2, topology_pb2
from dstk_cluster.mapstore import MapConflict, MapStore
from dstk_cluster.model import ClusterMap, PartitionInfo
from dstk_cluster.port import CoordinatorUnavailable
from dstk_cluster.view import ClusterView
from dstk_cluster.wire import node_to_proto, partition_to_proto
from dstk_keytypes import Key, NodeId
from dstk_service.clock import Clock
from dstk_service.errors import InvalidArgument, NotServing
from dstk_storage.domain.converge import Assignment
from dstk_storage.domain.disk import DiskGuard
from dstk_storage.domain.partition import Partition
from dstk_storage.domain.store import Store
from dstk_storage.ports import Disk

log = logging.getLogger(__name__)

SPLIT_SECONDS = 10.0
"""How long a split may take until this node serves both halves."""


class MapOwners:
    """Who owns a key, by the map that the view holds: for NotOwner answers."""

    def __init__(self, view: ClusterView) -> None:
        self._view = view

    def owner(self, key: bytes, *, before: bool) -> tuple[topology_pb2.Partition | None, str]:
        """See servicers.translate.Owners."""
        current = self._view.current
        if current is None or not current.partitions:
            return None, ""
        partition = current.partition_below(key or None) if before else current.partition_of(key)
        node = current.nodes.get(partition.primary)
        return partition_to_proto(partition), "" if node is None else node.address


@dataclass(frozen=True, slots=True)
class NodeParts:
    """What a node works with."""

    node_id: NodeId
    store: Store
    map_store: MapStore
    view: ClusterView
    disk: Disk
    guard: DiskGuard
    clock: Clock


class StorageNode:
    """Keeps the store in line with the map and serves the operator's wishes."""

    def __init__(self, parts: NodeParts) -> None:
        self._parts = parts
        self._started = parts.clock.monotonic()

    def converge(self, current: ClusterMap) -> None:
        """Serves what the map assigns to this node, and logs every divergence."""
        mine = [
            Assignment(partition.id, partition.range, partition.epoch)
            for partition in current.partitions
            if partition.primary == self._parts.node_id
        ]
        for divergence in self._parts.store.converge(mine):
            log.info("converging with the partition map: %s", divergence, extra={"revision": current.revision})

    async def follow(self) -> None:
        """Converges with every change of the map until cancelled."""
        async for current in self._parts.view.maps():
            self.converge(current)

    async def split(self, at: Key) -> tuple[topology_pb2.Partition, topology_pb2.Partition]:
        """See servicers.admin.Operations. One etcd transaction; then the map's watch makes this node serve both halves."""
        parts = self._parts
        partition = (await parts.view.ready()).partition_of(at)
        if partition.range.start == at:
            limit = f"above {partition.range.start!r}, where its partition starts already"
            raise InvalidArgument("at", repr(bytes(at)), limit)
        try:
            async with asyncio.timeout(SPLIT_SECONDS):
                lower, upper = await parts.map_store.split(partition, at)
                await parts.view.wait_for(lambda current: _has(current, upper))
                while parts.store.table.owner(at).id != upper.id:
                    await parts.clock.sleep(0.001)
        except MapConflict as error:
            raise NotServing(f"{error}: try again", 0.1) from error
        except (CoordinatorUnavailable, TimeoutError) as error:
            raise NotServing(f"the split waits for etcd, and may yet happen: {error}", 1.0) from error
        return partition_to_proto(lower), partition_to_proto(upper)

    def entry(self, partition: Partition) -> topology_pb2.Partition:
        """See servicers.admin.Operations."""
        return topology_pb2.Partition(
            id=partition.id,
            start=partition.range.start,
            end=partition.range.end or b"",
            epoch=partition.epoch,
            primary=self._parts.node_id,
            replicas=[self._parts.node_id],
            in_sync=[self._parts.node_id],
        )

    def status(self) -> admin_pb2.NodeStatus:
        """See servicers.admin.Operations."""
        parts = self._parts
        current = parts.view.current
        info = None if current is None else current.nodes.get(parts.node_id)
        return admin_pb2.NodeStatus(
            node=topology_pb2.Node(id=parts.node_id) if info is None else node_to_proto(info),
            primaries=len(parts.store.table),
            free_bytes=parts.disk.free_bytes(),
            read_only=parts.guard.read_only or parts.store.committer.failed,
            uptime_s=int(parts.clock.monotonic() - self._started),
        )


def _has(current: ClusterMap, wanted: PartitionInfo) -> bool:
    return any(partition.id == wanted.id for partition in current.partitions)
