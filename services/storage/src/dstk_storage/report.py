"""What a node says of itself and of its replicas."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dstk.v1 import admin_pb2, topology_pb2
from dstk_cluster.view import ClusterView
from dstk_cluster.wire import node_to_proto, partition_to_proto
from dstk_keytypes import NodeId
from dstk_service.clock import Clock
from dstk_storage.domain.compared import Outcome
from dstk_storage.domain.disk import DiskGuard
from dstk_storage.domain.proof import EngineProof
from dstk_storage.domain.replication.comparer import Comparer, Running
from dstk_storage.domain.replication.replica import Primary, Replica
from dstk_storage.domain.replication.replicator import Replicator
from dstk_storage.ports import Disk

DesiredStateOf = Callable[[NodeId], admin_pb2.DesiredState.ValueType]


@dataclass(frozen=True, slots=True)
class Report:
    """The part of servicers.admin.Operations that changes nothing. `kept`: engines that were moved aside; `started`: when the
    process did, monotonic.
    """

    view: ClusterView
    home: Replicator
    disk: Disk
    guard: DiskGuard
    clock: Clock
    desired_state_of: DesiredStateOf
    reaches_etcd: Callable[[], bool]
    proof: EngineProof
    kept: Callable[[], Sequence[Path]]
    started: float
    comparer: Comparer

    def partitions(self) -> list[admin_pb2.PartitionStatus]:
        """See servicers.admin.Operations."""
        now = self.clock.monotonic()
        led = [(replica, replica.primary) for replica in self.home.replicas.values() if replica.primary is not None]
        running = self.comparer.running
        return [_partition(*each, now, running) for each in sorted(led, key=lambda each: each[0].range.start)]

    def replicas(self) -> list[admin_pb2.ReplicaStatus]:
        """See servicers.admin.Operations."""
        return [_replica(replica) for _, replica in sorted(self.home.replicas.items())]

    def status(self) -> admin_pb2.NodeStatus:
        """See servicers.admin.Operations."""
        me, store = self.home.around.me, self.home.around.store
        current = self.view.current
        info = None if current is None else current.nodes.get(me)
        return admin_pb2.NodeStatus(
            node=topology_pb2.Node(id=me) if info is None else node_to_proto(info),
            primaries=sum(replica.primary is not None for replica in self.home.replicas.values()),
            free_bytes=self.disk.free_bytes(),
            read_only=self.guard.read_only or store.committer.intake.failed,
            uptime_s=int(self.clock.monotonic() - self.started),
            replicas=len(self.home.replicas),
            desired_state=self.desired_state_of(me),
            clock_ms=self.clock.now_ms(),
            etcd_reachable=self.reaches_etcd(),
            estimated_bytes=sum(store.weigh(partition.range) for partition in store.locals),
            alive=True,
            disk_reserve_bytes=self.guard.reserve,
            takes_deletions=store.committer.intake.removals is None,
            reclaimable_bytes=store.committer.garbage.index + sum(partition.garbage for partition in store.locals),
            engine=self._engine(),
        )

    def _engine(self) -> admin_pb2.EngineStatus:
        own = self.proof.identity
        kept = [str(path) for path in self.kept()]
        return admin_pb2.EngineStatus(id=own.engine, replaced_reason=own.why, made_at_ms=own.at_ms, kept=kept)


_OUTCOMES = {
    Outcome.EQUAL: admin_pb2.COMPARISON_OUTCOME_EQUAL,
    Outcome.QUARANTINED: admin_pb2.COMPARISON_OUTCOME_QUARANTINED,
    Outcome.UNDECIDED: admin_pb2.COMPARISON_OUTCOME_UNDECIDED,
    Outcome.INCOMPLETE: admin_pb2.COMPARISON_OUTCOME_INCOMPLETE,
}


def _comparison(replica: Replica, running: Running | None) -> admin_pb2.ComparisonStatus:
    status, compared = admin_pb2.ComparisonStatus(), replica.partition.compared
    if compared is not None:
        status.completed_ms, status.outcome = compared.at_ms, _OUTCOMES[compared.outcome]
        status.records = compared.records
        status.nodes.extend(compared.nodes)
    if running is not None and running.partition == replica.info.id:
        status.running, status.progress = True, running.progress
    return status


def _partition(replica: Replica, primary: Primary, now: float, running: Running | None) -> admin_pb2.PartitionStatus:
    partition, activity = replica.partition, replica.partition.activity
    return admin_pb2.PartitionStatus(
        partition=partition_to_proto(replica.info),
        serving=primary.serving and primary.lease > now and not partition.quarantined,
        estimated_records=round(partition.estimate.records),
        estimated_bytes=round(partition.estimate.bytes),
        sequence=partition.log.history.last,
        reads=activity.reads,
        writes=activity.writes,
        scanned=activity.scanned,
        errors=activity.errors,
        known=True,
        comparison=_comparison(replica, running),
        followers=[
            admin_pb2.FollowerStatus(
                node=node,
                sequence=each.acked.seq if each.known else 0,
                silent_s=max(0.0, now - each.silent_since()),
                rebuilding=each.copying,
            )
            for node, each in primary.followers.items()
        ],
    )


def _replica(replica: Replica) -> admin_pb2.ReplicaStatus:
    partition, position = replica.partition, replica.partition.log.position
    return admin_pb2.ReplicaStatus(
        partition_id=replica.info.id,
        node=replica.me,
        start=partition.range.start,
        end=partition.range.end or b"",
        epoch=replica.info.epoch,
        position_epoch=position.epoch,
        position_sequence=position.seq,
        promised=replica.promised,
        primary=replica.primary is not None,
        rebuilding=replica.rebuilding,
        quarantined=partition.quarantined,
    )
