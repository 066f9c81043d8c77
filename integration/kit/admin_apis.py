"""What stands behind the Admin service of a node: scripted, and in memory on one fake cluster."""

from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from typing_extensions import override

from dstk.v1 import admin_pb2, topology_pb2
from dstk_cluster.wire import partition_to_proto
from dstk_keytypes import Key, KeyRange, NodeId, PartitionId
from dstk_service.errors import PreconditionFailed
from dstk_storage.adapters.memory_cluster import MemoryCluster
from dstk_storage.application.changes import Changes
from dstk_storage.application.loads import LoadFigures
from dstk_storage.application.replica_status import loads_response
from dstk_storage.domain.controller.model import Action, Step
from dstk_storage.servicers.admin import ClusterAdminApi, Halves, NodeAdminApi, PartitionAdminApi
from kit.map_entries import map_entry


@dataclass
class Calls:
    """What was asked for, in order; `error` is raised instead of an answer."""

    asked: list[tuple[Any, ...]] = field(default_factory=list)
    error: Exception | None = None

    def note(self, *asked: Any) -> None:
        self.asked.append(asked)
        if self.error is not None:
            raise self.error


class ScriptedPartitionAdmin(PartitionAdminApi):
    """Notes each change, and answers with an entry of the map."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    @override
    async def split(self, at: Key) -> Halves:
        self._calls.note("split", at)
        return map_entry(1, end=at), map_entry(2, start=at)

    @override
    async def split_middle(self, partition_id: int, *, by_load: bool) -> Halves:
        self._calls.note("split_middle", partition_id, by_load)
        return map_entry(partition_id, end=b"m"), map_entry(9, start=b"m")

    @override
    async def merge(self, at: Key) -> topology_pb2.Partition:
        self._calls.note("merge", at)
        return map_entry(1)

    @override
    async def add_replica(self, partition_id: int, node: str) -> topology_pb2.Partition:
        self._calls.note("add_replica", partition_id, node)
        return map_entry(partition_id)

    @override
    async def remove_replica(self, partition_id: int, node: str) -> topology_pb2.Partition:
        self._calls.note("remove_replica", partition_id, node)
        return map_entry(partition_id)

    @override
    async def transfer(self, partition_id: int, node: str | None) -> topology_pb2.Partition:
        self._calls.note("transfer", partition_id, node)
        return map_entry(partition_id)

    @override
    async def repair(self, partition_id: int, *, apply: bool) -> admin_pb2.RepairPartitionResponse:
        self._calls.note("repair", partition_id, apply)
        return admin_pb2.RepairPartitionResponse(compared_records=3)

    @override
    async def force_primary(self, partition_id: int) -> topology_pb2.Partition:
        self._calls.note("force_primary", partition_id)
        return map_entry(partition_id)


class ScriptedNodeAdmin(NodeAdminApi):
    """Notes compactions, and tells of a node "storage-1" with one partition."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    @property
    @override
    def me(self) -> str:
        return "storage-1"

    @override
    def replicas(self) -> list[admin_pb2.ReplicaStatus]:
        return [admin_pb2.ReplicaStatus(partition_id=1, node="storage-1", primary=True)]

    @override
    def partitions(self) -> list[admin_pb2.PartitionStatus]:
        return [admin_pb2.PartitionStatus(partition=map_entry(1), known=True)]

    @override
    async def loads(self, session: str, version: int) -> admin_pb2.ListLoadsResponse:
        self._calls.note("loads", session, version)
        return admin_pb2.ListLoadsResponse(session=session, version=version + 1)

    @override
    def status(self) -> admin_pb2.NodeStatus:
        return admin_pb2.NodeStatus(node=topology_pb2.Node(id="storage-1"), alive=True)

    @override
    async def compact(self, wanted: KeyRange, resume: bytes) -> admin_pb2.CompactNodeResponse:
        self._calls.note("compact", wanted, resume)
        return admin_pb2.CompactNodeResponse(resume=b"on")


class ScriptedClusterAdmin(ClusterAdminApi):
    """Notes what is asked of a cluster whose controller is "storage-2"; "storage-0" is not alive."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    @override
    async def set_desired_state(self, request: admin_pb2.SetDesiredStateRequest) -> None:
        self._calls.note("set_desired_state", request.node, request.desired_state, request.replacement)

    @override
    async def controller(self) -> admin_pb2.GetControllerResponse:
        return admin_pb2.GetControllerResponse(leader="storage-2")

    @override
    async def configure(self, request: admin_pb2.SetControllerRequest) -> admin_pb2.SetControllerResponse:
        self._calls.note("configure", list(request.fields))
        return admin_pb2.SetControllerResponse(settings=request.settings)

    @override
    async def events(self, limit: int) -> admin_pb2.ListEventsResponse:
        self._calls.note("events", limit)
        return admin_pb2.ListEventsResponse(events=[admin_pb2.Event(action="split")])

    @override
    def absent(self) -> list[admin_pb2.NodeStatus]:
        node = topology_pb2.Node(id="storage-0")
        return [admin_pb2.NodeStatus(node=node, desired_state=admin_pb2.DESIRED_STATE_REMOVED)]


class MemoryPartitionAdmin(PartitionAdminApi):
    """Changes the fake cluster at once, where the node `me` is the primary."""

    def __init__(self, cluster: MemoryCluster, me: NodeId) -> None:
        self._cluster, self._me = cluster, me

    def _do(self, action: Action, number: int, **about: Any) -> topology_pb2.Partition:
        if self._cluster.partitions[PartitionId(number)].primary != self._me:
            raise PreconditionFailed(f"{self._me} is not the primary")
        self._cluster.apply(Step(action, PartitionId(number), "", **about))
        return partition_to_proto(self._cluster.partitions[PartitionId(number)])

    @override
    async def split(self, at: Key) -> Halves:
        raise AssertionError(f"the controller names partitions, not keys such as {at!r}")

    @override
    async def split_middle(self, partition_id: int, *, by_load: bool) -> Halves:
        lower = self._do(Action.SPLIT, partition_id, by_load=by_load)
        return lower, partition_to_proto(self._cluster.partitions[PartitionId(max(self._cluster.partitions))])

    @override
    async def merge(self, at: Key) -> topology_pb2.Partition:
        upper = self._cluster.map.partition_of(at)
        lower = self._cluster.map.partition_below(at)
        return self._do(Action.MERGE, lower.id, at=bytes(at), upper=upper.id)

    @override
    async def add_replica(self, partition_id: int, node: str) -> topology_pb2.Partition:
        return self._do(Action.ADD_REPLICA, partition_id, node=NodeId(node))

    @override
    async def remove_replica(self, partition_id: int, node: str) -> topology_pb2.Partition:
        return self._do(Action.REMOVE_REPLICA, partition_id, node=NodeId(node))

    @override
    async def transfer(self, partition_id: int, node: str | None) -> topology_pb2.Partition:
        return self._do(Action.TRANSFER_PRIMARY, partition_id, node=NodeId(node or ""))

    @override
    async def repair(self, partition_id: int, *, apply: bool) -> admin_pb2.RepairPartitionResponse:
        differing = admin_pb2.ReplicaComparison(node="n2", rebuild_started=apply)
        return admin_pb2.RepairPartitionResponse(compared_records=partition_id, replicas=[differing])

    @override
    async def force_primary(self, partition_id: int) -> topology_pb2.Partition:
        return partition_to_proto(self._cluster.partitions[PartitionId(partition_id)])


class MemoryNodeAdmin(NodeAdminApi):
    """Tells of the partitions of the fake cluster whose primary is the node `me`."""

    def __init__(self, cluster: MemoryCluster, me: NodeId) -> None:
        self._cluster, self._me, self._changes = cluster, me, Changes[LoadFigures]()

    @property
    @override
    def me(self) -> str:
        return self._me

    @override
    def replicas(self) -> list[admin_pb2.ReplicaStatus]:
        return []

    @override
    def partitions(self) -> list[admin_pb2.PartitionStatus]:
        return [
            admin_pb2.PartitionStatus(
                partition=partition_to_proto(info),
                known=True,
                estimated_bytes=self._cluster.loads[info.id].bytes,
                estimated_records=self._cluster.loads[info.id].records,
                reads=3,
                writes=4,
                scanned=1000,
                followers=[admin_pb2.FollowerStatus(node="n2", sequence=9, silent_s=0.5, needs_snapshot=True)],
            )
            for info in self._cluster.partitions.values()
            if info.primary == self._me
        ]

    @override
    async def loads(self, session: str, version: int) -> admin_pb2.ListLoadsResponse:
        answer = await self._changes.since(session, version, self._look)
        return loads_response(answer, read_only=self._me in self._cluster.read_only)

    async def _look(self, _version: int) -> AsyncIterator[Iterable[tuple[PartitionId, LoadFigures]]]:
        yield self._figures()

    def _figures(self) -> Iterator[tuple[PartitionId, LoadFigures]]:
        cluster, silent = self._cluster, ((NodeId("n2"), 1.5),)
        for info in cluster.partitions.values():
            if info.primary == self._me:
                load, count = cluster.loads[info.id], cluster.counters.get(info.id, 7)
                yield info.id, LoadFigures(info.range, load.bytes, load.records, count, silent)

    @override
    def status(self) -> admin_pb2.NodeStatus:
        return admin_pb2.NodeStatus(node=topology_pb2.Node(id=self._me), read_only=self._me in self._cluster.read_only)

    @override
    async def compact(self, wanted: KeyRange, resume: bytes) -> admin_pb2.CompactNodeResponse:
        return admin_pb2.CompactNodeResponse(done=True)
