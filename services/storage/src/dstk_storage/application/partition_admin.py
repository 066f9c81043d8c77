"""Operators' and the controller's changes of the partitions that this node is the primary of."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from dstk.v1 import admin_pb2, topology_pb2
from dstk_cluster.model import ClusterMap, PartitionInfo
from dstk_cluster.port import CoordinatorUnavailable
from dstk_cluster.view import ClusterView
from dstk_cluster.wire import partition_to_proto
from dstk_keytypes import Key, KeyRange, NodeId, PartitionId
from dstk_service.clock import Clock
from dstk_service.errors import DeadlineExceeded, InvalidArgument, NotOwner, NotServing, PreconditionFailed
from dstk_storage.application.repair import Repaired, Repairs
from dstk_storage.application.replicas import Replicas
from dstk_storage.domain import split_point
from dstk_storage.domain.errors import NotPrimary
from dstk_storage.domain.replication.runtime.repair import Compared
from dstk_storage.ports import Engine, Offload

TAKE_UP_SECONDS = 5.0
"""How long a call waits until a changed partition is served again; it will be in any case."""

ETCD_SECONDS = 0.5
"""After how long the caller may retry a change that found no etcd."""

POLL_SECONDS = 0.005

Halves = tuple[topology_pb2.Partition, topology_pb2.Partition]
"""The lower and the upper half of a split."""


class Reconfiguration(Protocol):
    """Planned changes of partitions that this node is the primary of. Each returns the map's new entry.

    They raise NotPrimary, the API's PreconditionFailed, CoordinatorUnavailable.
    """

    async def split(self, number: PartitionId, at: Key) -> tuple[PartitionInfo, PartitionInfo]:
        """Cuts the partition in two. Raises InvalidRange for a key that is not inside it."""

    async def merge(self, lower_id: PartitionId, upper_id: PartitionId) -> PartitionInfo:
        """Joins the partition with its upper neighbour."""

    async def add_replica(self, number: PartitionId, node: NodeId) -> PartitionInfo:
        """Adds a learner on `node`."""

    async def remove_replica(self, number: PartitionId, node: NodeId) -> PartitionInfo:
        """Removes the replica on `node`."""

    async def transfer(self, number: PartitionId, node: NodeId | None = None) -> PartitionInfo:
        """Hands the partition over to an in-sync replica; None: to the one whose node leads the fewest."""

    async def force(self, number: PartitionId) -> PartitionInfo:
        """Makes this node the primary with the data that it has."""


class MapReader(Protocol):
    """The partition map in etcd."""

    async def read(self, partition: PartitionId, /) -> PartitionInfo | None:
        """A partition's entry as etcd has it now. Raises CoordinatorUnavailable."""


@dataclass(frozen=True, slots=True)
class PartitionAdmin:
    """Answers servicers.admin.PartitionAdminApi. `engine` is read through `offload` to find the middle of a partition."""

    me: NodeId
    view: ClusterView
    replicas: Replicas
    changes: Reconfiguration
    map_reader: MapReader
    repairs: Repairs
    engine: Engine
    offload: Offload
    clock: Clock

    async def split(self, at: Key) -> Halves:
        """Splits the partition that contains `at`."""
        info = (await self.view.ready()).partition_of(at)
        if info.range.start == at:
            await self._require_newest(info)
            limit = f"above {info.range.start!r}, where its partition starts already"
            raise InvalidArgument("at", repr(bytes(at)), limit)
        return await self._split(info.id, at)

    async def split_middle(self, partition_id: int, *, by_load: bool) -> Halves:
        """Splits a partition in the middle of its bytes, or of its recent operations."""
        number = PartitionId(partition_id)
        at = await self._split_point(number, by_load=by_load)
        if at is None:
            what = "recent operations" if by_load else "keys"
            raise PreconditionFailed(f"partition {number} has too few {what} to be split in their middle")
        return await self._split(number, Key(at))

    async def merge(self, at: Key) -> topology_pb2.Partition:
        """Merges the partition that starts at `at` into its lower neighbour."""
        current = await self.view.ready()
        upper = current.partition_of(at)
        if upper.range.start != at:
            await self._require_newest(upper)
            raise InvalidArgument("at", repr(bytes(at)), f"where a partition starts: it is inside {upper.range}")
        lower = current.partition_below(upper.range.start)
        async with self._answering(upper.id):
            self.replicas.led(upper.id)
        await self._require_etcd(lower.id)
        async with self._answering(lower.id):
            if lower.primary != upper.primary:
                raise PreconditionFailed(
                    f"{lower.primary!r} leads partition {lower.id}, {upper.primary!r} the upper one: transfer it first"
                )
            merged = await self.changes.merge(lower.id, upper.id)
        return await self._served_again(merged)

    async def add_replica(self, partition_id: int, node: str) -> topology_pb2.Partition:
        """Adds a replica on a node that is alive."""
        number, newcomer = PartitionId(partition_id), NodeId(node)
        if newcomer not in (await self.view.ready()).nodes:
            raise PreconditionFailed(f"node {node!r} is not alive")
        async with self._answering(number):
            return partition_to_proto(await self.changes.add_replica(number, newcomer))

    async def remove_replica(self, partition_id: int, node: str) -> topology_pb2.Partition:
        """Removes the replica on a node."""
        number = PartitionId(partition_id)
        async with self._answering(number):
            return partition_to_proto(await self.changes.remove_replica(number, NodeId(node)))

    async def transfer(self, partition_id: int, node: str | None) -> topology_pb2.Partition:
        """Hands the partition over to `node`; None: to any in-sync replica."""
        number = PartitionId(partition_id)
        await self._require_etcd(number)
        async with self._answering(number):
            new = await self.changes.transfer(number, NodeId(node) if node else None)
        return await self._served_again(new)

    async def repair(self, partition_id: int, *, apply: bool) -> admin_pb2.RepairPartitionResponse:
        """Compares the replicas; `apply`: begins to rebuild those that differ."""
        number = PartitionId(partition_id)
        async with self._answering(number):
            return _repaired(await self.repairs.run(number, apply=apply))

    async def force_primary(self, partition_id: int) -> topology_pb2.Partition:
        """Makes this node the primary with the data that it has."""
        number = PartitionId(partition_id)
        async with self._answering(number):
            new = await self.changes.force(number)
        return await self._served_again(new)

    async def _split_point(self, number: PartitionId, *, by_load: bool) -> bytes | None:
        async with self._answering(number):
            view = self.replicas.led(number)
        if by_load:
            return split_point.by_load(view.partition.activity.recent, view.partition.range)
        return await self.offload(partial(split_point.by_size, self.engine, view.partition.range))

    async def _split(self, number: PartitionId, at: Key) -> Halves:
        await self._require_etcd(number)
        async with self._answering(number):
            lower, upper = await self.changes.split(number, at)
        return await self._served_again(lower), await self._served_again(upper)

    async def _require_newest(self, info: PartitionInfo) -> None:
        """Raises NotServing while this node's map is behind: a caller who has just changed it must not be told that the request
        is wrong.
        """
        if await self._require_etcd(info.id) != info:
            raise NotServing(
                f"this node's map is behind at partition {info.id}, so that nothing was done", POLL_SECONDS
            )

    async def _require_etcd(self, number: PartitionId) -> PartitionInfo | None:
        """Returns the entry as etcd has it. Raises NotServing while etcd has no leader: a quiesced partition would wait for
        etcd, and its callers with it.
        """
        try:
            return await self.map_reader.read(number)
        except CoordinatorUnavailable as error:
            raise NotServing(f"etcd does not answer, so that nothing was done: {error}", ETCD_SECONDS) from error

    async def _served_again(self, info: PartitionInfo) -> topology_pb2.Partition:
        """Returns when this node serves the changed partition, or knows that another node does."""
        end = self.clock.monotonic() + TAKE_UP_SECONDS
        while self.clock.monotonic() < end:
            current = _entry(self.view.current, info.id)
            if current is not None and current.epoch >= info.epoch and self._is_served(current):
                return partition_to_proto(current)
            await self.clock.sleep(POLL_SECONDS)
        return partition_to_proto(info)

    def _is_served(self, info: PartitionInfo) -> bool:
        replica = self.replicas.get(info.id)
        if replica is None:
            return True  # other nodes hold it: this one cannot see whether they serve it
        if info.primary != self.me:
            return replica.claimed >= info.epoch
        leadership = replica.leadership
        return leadership is not None and leadership.serving and leadership.epoch >= info.epoch

    @asynccontextmanager
    async def _answering(self, number: PartitionId) -> AsyncIterator[None]:
        """Raises what the domain raises as errors of the API."""
        try:
            yield
        except NotPrimary as error:
            raise self._not_owner(number) from error
        except CoordinatorUnavailable as error:
            raise DeadlineExceeded(f"etcd does not answer; the change may yet happen: {error}") from error

    def _not_owner(self, number: PartitionId) -> NotOwner | PreconditionFailed | NotServing:
        current = self.view.current
        info = _entry(current, number)
        if current is None or info is None:
            return PreconditionFailed(f"there is no partition {number}")
        if info.primary == self.me:
            return NotServing(f"partition {number} is not served at the moment", 0.1)
        node = current.nodes.get(info.primary)
        return NotOwner(partition_to_proto(info), "" if node is None else node.address)


def _entry(current: ClusterMap | None, number: PartitionId) -> PartitionInfo | None:
    return next((info for info in current.partitions if info.id == number), None) if current is not None else None


def _repaired(repaired: Repaired) -> admin_pb2.RepairPartitionResponse:
    return admin_pb2.RepairPartitionResponse(
        compared_records=repaired.records, replicas=[_comparison(each) for each in repaired.replicas]
    )


def _comparison(each: Compared) -> admin_pb2.ReplicaComparison:
    return admin_pb2.ReplicaComparison(
        node=each.node,
        differing=[_key_range(part) for part in each.differing],
        complete=each.complete,
        rebuild_started=each.rebuild_started,
    )


def _key_range(part: KeyRange) -> admin_pb2.KeyRange:
    return admin_pb2.KeyRange(start=part.start, end=part.end or b"")
