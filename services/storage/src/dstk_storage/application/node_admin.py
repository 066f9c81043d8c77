"""What a node tells about itself and its replicas."""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from dstk.v1 import admin_pb2, topology_pb2
from dstk_cluster.view import ClusterView
from dstk_cluster.wire import node_to_proto
from dstk_keytypes import KeyRange, NodeId
from dstk_service.clock import Clock
from dstk_storage.application.changes import Changes
from dstk_storage.application.failure_counters import FailureCounters
from dstk_storage.application.loads import LoadFigures
from dstk_storage.application.replica_status import failure_counts, loads_response, partition_status, replica_status
from dstk_storage.application.replicas import Load, Replicas
from dstk_storage.domain.compaction import Compactor
from dstk_storage.domain.disk import DiskGuard
from dstk_storage.domain.identity import EngineIdentity
from dstk_storage.domain.replication.runtime.comparer import Running
from dstk_storage.domain.store import Store
from dstk_storage.ports import Disk


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """What is asked of other parts, at each call.

    `desired_state`: of this node; `engine`: the identity of the engine; `kept`: engines that were moved aside;
    `comparison`: the comparison of replicas under way.
    """

    desired_state: Callable[[], admin_pb2.DesiredState.ValueType]
    reaches_etcd: Callable[[], bool]
    engine: Callable[[], EngineIdentity]
    kept: Callable[[], Sequence[Path]]
    comparison: Callable[[], Running | None]


@dataclass(frozen=True, slots=True)
class NodeAdmin:
    """Answers servicers.admin.NodeAdminApi. `started`: when the process started, in monotonic seconds."""

    me: NodeId
    view: ClusterView
    store: Store
    replica_views: Replicas
    disk: Disk
    guard: DiskGuard
    compactor: Compactor
    clock: Clock
    started: float
    facts: NodeFacts
    failures: FailureCounters
    load_changes: Changes[LoadFigures] = field(default_factory=Changes)

    def partitions(self) -> list[admin_pb2.PartitionStatus]:
        """The partitions that this node is the primary of, by start of range."""
        now, running = self.clock.monotonic(), self.facts.comparison()
        return [
            partition_status(view, view.leadership, now, running, self.failures)
            for view in self.replica_views.leading()
            if view.leadership is not None
        ]

    async def loads(self, session: str, version: int) -> admin_pb2.ListLoadsResponse:
        """The figures of those partitions that have changed since the answer with this session and version."""
        answer = await self.load_changes.since(session, version, self._loads)
        return loads_response(answer, read_only=self.is_read_only)

    def _loads(self, _version: int) -> AsyncIterator[Iterable[Load]]:
        current = self.view.current
        alive = () if current is None else current.nodes
        return self.replica_views.loads(self.clock.monotonic(), alive, partial(self.clock.sleep, 0))

    def replicas(self) -> list[admin_pb2.ReplicaStatus]:
        """Every replica on this node, by partition."""
        return [replica_status(view, self.me) for view in self.replica_views.all()]

    def status(self) -> admin_pb2.NodeStatus:
        """This node."""
        current, store, (replicas, primaries) = self.view.current, self.store, self.replica_views.count()
        info = None if current is None else current.nodes.get(self.me)
        return admin_pb2.NodeStatus(
            node=topology_pb2.Node(id=self.me) if info is None else node_to_proto(info),
            primaries=primaries,
            free_bytes=self.disk.free_bytes(),
            read_only=self.is_read_only,
            uptime_s=int(self.clock.monotonic() - self.started),
            replicas=replicas,
            desired_state=self.facts.desired_state(),
            clock_ms=self.clock.now_ms(),
            etcd_reachable=self.facts.reaches_etcd(),
            estimated_bytes=store.weigh_replicas(),
            alive=True,
            disk_reserve_bytes=self.guard.reserve,
            takes_deletions=store.committer.intake.removals is None,
            reclaimable_bytes=store.committer.garbage.index + sum(partition.garbage for partition in store.locals),
            misrouted_reads=failure_counts(self.failures.reads(None)),
            misrouted_writes=failure_counts(self.failures.writes(None)),
            engine=self._engine(),
        )

    async def compact(self, wanted: KeyRange, resume: bytes) -> admin_pb2.CompactNodeResponse:
        """Compacts for about two seconds, from where an earlier call has ended."""
        compacted = await self.compactor.some(wanted, resume)
        return admin_pb2.CompactNodeResponse(
            done=compacted.resume is None,
            resume=compacted.resume or b"",
            bytes_before=compacted.before,
            bytes_after=compacted.after,
            bytes_left=compacted.left,
        )

    @property
    def is_read_only(self) -> bool:
        """Whether the node refuses writes, because its disk is full or fails."""
        return self.guard.read_only or self.store.committer.intake.failure is not None

    def _engine(self) -> admin_pb2.EngineStatus:
        own, kept = self.facts.engine(), [str(path) for path in self.facts.kept()]
        return admin_pb2.EngineStatus(id=own.engine, replaced_reason=own.why, made_at_ms=own.at_ms, kept=kept)
