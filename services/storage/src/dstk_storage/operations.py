"""What operators and the controller ask of a node: changes of the partitions that it leads."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from dstk.v1 import admin_pb2, topology_pb2
from dstk_cluster.model import ClusterMap, PartitionInfo
from dstk_cluster.port import CoordinatorUnavailable
from dstk_cluster.view import ClusterView
from dstk_cluster.wire import partition_to_proto
from dstk_keytypes import Key, KeyRange, NodeId, PartitionId
from dstk_service.clock import Clock
from dstk_service.errors import DeadlineExceeded, InvalidArgument, NotOwner, NotServing, Unfit
from dstk_storage.domain import split_point
from dstk_storage.domain.compaction import Compactor
from dstk_storage.domain.errors import NotPrimary
from dstk_storage.domain.errors import Unfit as DomainUnfit
from dstk_storage.domain.replication.comparer import Comparer
from dstk_storage.domain.replication.planned import Planned
from dstk_storage.domain.replication.repair import Compared, Repair
from dstk_storage.domain.replication.replicator import Replicator
from dstk_storage.report import Report

TAKE_UP_SECONDS = 5.0
"""How long a changed partition may take until it is served again; it will be in any case."""

ETCD_SECONDS = 0.5
"""After which a change may be asked for again that found no etcd."""

LOOK_SECONDS = 0.005

Halves = tuple[topology_pb2.Partition, topology_pb2.Partition]


@dataclass(frozen=True, slots=True)
class Operations:
    """See servicers.admin.Operations."""

    view: ClusterView
    home: Replicator
    clock: Clock
    report: Report
    compactor: Compactor
    comparer: Comparer

    def partitions(self) -> list[admin_pb2.PartitionStatus]:
        """See servicers.admin.Operations."""
        return self.report.partitions()

    def replicas(self) -> list[admin_pb2.ReplicaStatus]:
        """See servicers.admin.Operations."""
        return self.report.replicas()

    def status(self) -> admin_pb2.NodeStatus:
        """See servicers.admin.Operations."""
        return self.report.status()

    async def split(self, at: Key) -> Halves:
        """See servicers.admin.Operations."""
        info = (await self.view.ready()).partition_of(at)
        if info.range.start == at:
            limit = f"above {info.range.start!r}, where its partition starts already"
            raise InvalidArgument("at", repr(bytes(at)), limit)
        return await self._split(info.id, at)

    async def split_middle(self, partition_id: int, *, by_load: bool) -> Halves:
        """See servicers.admin.Operations."""
        number = PartitionId(partition_id)
        async with self._answering(number) as planned:
            replica = planned.primary_of(number)
        store = self.home.around.store
        if by_load:
            at = split_point.by_load(replica.partition.activity.recent, replica.range)
        else:
            at = await store.offload(partial(split_point.by_size, store.engine, replica.range))
        if at is None:
            what = "operations of late" if by_load else "keys"
            raise Unfit(f"partition {number} has too few {what} to be split in their middle")
        return await self._split(number, Key(at))

    async def merge(self, at: Key) -> topology_pb2.Partition:
        """See servicers.admin.Operations."""
        current = await self.view.ready()
        upper = current.partition_of(at)
        if upper.range.start != at:
            raise InvalidArgument("at", repr(bytes(at)), f"where a partition starts: it is inside {upper.range}")
        lower = current.partition_below(upper.range.start)
        async with self._answering(upper.id) as planned:
            planned.primary_of(upper.id)
        await self._reach_etcd(lower.id)
        async with self._answering(lower.id) as planned:
            if lower.primary != upper.primary:
                raise Unfit(
                    f"{lower.primary!r} leads partition {lower.id}, {upper.primary!r} the upper one: transfer it first"
                )
            merged = await planned.merge(lower.id, upper.id)
        return await self._taken_up(merged)

    async def add_replica(self, partition_id: int, node: str) -> topology_pb2.Partition:
        """See servicers.admin.Operations."""
        newcomer = NodeId(node)
        if newcomer not in (await self.view.ready()).nodes:
            raise Unfit(f"node {node!r} is not alive")
        async with self._answering(PartitionId(partition_id)) as planned:
            return partition_to_proto(await planned.add_replica(PartitionId(partition_id), newcomer))

    async def remove_replica(self, partition_id: int, node: str) -> topology_pb2.Partition:
        """See servicers.admin.Operations."""
        async with self._answering(PartitionId(partition_id)) as planned:
            return partition_to_proto(await planned.remove_replica(PartitionId(partition_id), NodeId(node)))

    async def transfer(self, partition_id: int, node: str | None) -> topology_pb2.Partition:
        """See servicers.admin.Operations."""
        number = PartitionId(partition_id)
        await self._reach_etcd(number)
        async with self._answering(number) as planned:
            new = await planned.transfer(number, NodeId(node) if node else None)
        return await self._taken_up(new)

    async def repair(self, partition_id: int, *, apply: bool) -> admin_pb2.RepairPartitionResponse:
        """See servicers.admin.Operations."""
        number = PartitionId(partition_id)
        repair = Repair(self.home, number)
        async with self._answering(number):
            await repair.compare()
            if apply:
                await repair.apply()
        if not any(each.differing for each in repair.replicas):
            missing = [each.node for each in repair.replicas if not each.complete]
            self.comparer.found_equal(number, repair.records, missing)
        elif apply:
            self.comparer.expect(number)
        return admin_pb2.RepairPartitionResponse(
            compared_records=repair.records, replicas=[_comparison(each) for each in repair.replicas]
        )

    async def compact(self, wanted: KeyRange, resume: bytes) -> admin_pb2.CompactNodeResponse:
        """See servicers.admin.Operations."""
        compacted = await self.compactor.some(wanted, resume)
        return admin_pb2.CompactNodeResponse(
            done=compacted.resume is None,
            resume=compacted.resume or b"",
            bytes_before=compacted.before,
            bytes_after=compacted.after,
            bytes_left=compacted.left,
        )

    async def force_primary(self, partition_id: int) -> topology_pb2.Partition:
        """See servicers.admin.Operations."""
        number = PartitionId(partition_id)
        async with self._answering(number) as planned:
            new = await planned.force(number)
        return await self._taken_up(new)

    async def _split(self, number: PartitionId, at: Key) -> Halves:
        await self._reach_etcd(number)
        async with self._answering(number) as planned:
            lower, upper = await planned.split(number, at)
        return await self._taken_up(lower), await self._taken_up(upper)

    async def _reach_etcd(self, number: PartitionId) -> None:
        """Raises NotServing while etcd has no leader: a partition that already rests would wait for it, with its callers."""
        try:
            await self.home.around.map_changer.read(number)
        except CoordinatorUnavailable as error:
            raise NotServing(f"etcd does not answer, so that nothing was done: {error}", ETCD_SECONDS) from error

    async def _taken_up(self, info: PartitionInfo) -> topology_pb2.Partition:
        """Returns when the partition is served again: by this node, or by the one that won it."""
        end = self.clock.monotonic() + TAKE_UP_SECONDS
        while self.clock.monotonic() < end:
            current = _entry(self.view.current, info.id)
            if current is not None and current.epoch >= info.epoch and self._is_served(current):
                return partition_to_proto(current)
            await self.clock.sleep(LOOK_SECONDS)
        return partition_to_proto(info)

    def _is_served(self, info: PartitionInfo) -> bool:
        replica = self.home.replicas.get(info.id)
        if replica is None:
            return True  # by nodes of which none is this one
        if info.primary != self.home.around.me:
            return replica.claimed >= info.epoch
        primary = replica.primary
        return primary is not None and primary.serving and primary.epoch >= info.epoch

    @asynccontextmanager
    async def _answering(self, number: PartitionId) -> AsyncIterator[Planned]:
        """The domain's refusals as those of the API."""
        try:
            yield self.home.planned
        except NotPrimary as error:
            raise self._not_owner(number) from error
        except DomainUnfit as error:
            raise Unfit(str(error)) from error
        except CoordinatorUnavailable as error:
            raise DeadlineExceeded(f"etcd does not answer; the change may yet happen: {error}") from error

    def _not_owner(self, number: PartitionId) -> NotOwner | Unfit | NotServing:
        current = self.view.current
        info = _entry(current, number)
        if current is None or info is None:
            return Unfit(f"there is no partition {number}")
        if info.primary == self.home.around.me:
            return NotServing(f"partition {number} is not served at the moment", 0.1)
        node = current.nodes.get(info.primary)
        return NotOwner(partition_to_proto(info), "" if node is None else node.address)


def _entry(current: ClusterMap | None, number: PartitionId) -> PartitionInfo | None:
    return next((info for info in current.partitions if info.id == number), None) if current is not None else None


def _comparison(each: Compared) -> admin_pb2.ReplicaComparison:
    return admin_pb2.ReplicaComparison(
        node=each.node,
        differing=[_stretch(part) for part in each.differing],
        complete=each.complete,
        rebuild_begun=each.rebuild_begun,
    )


def _stretch(part: KeyRange) -> admin_pb2.KeyRange:
    return admin_pb2.KeyRange(start=part.start, end=part.end or b"")
