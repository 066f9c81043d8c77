"""A node's replicas as Admin shows them. Pure."""

from dstk.v1 import admin_pb2
from dstk_cluster.wire import partition_to_proto
from dstk_keytypes import NodeId, PartitionId
from dstk_service.outcomes import OutcomeClass
from dstk_storage.application.changes import Answer
from dstk_storage.application.failure_counters import FailureCounters, FailuresByClass
from dstk_storage.application.loads import LoadFigures
from dstk_storage.application.replicas import FollowerView, Leadership, ReplicaView
from dstk_storage.domain.compared import Outcome
from dstk_storage.domain.replication.runtime.comparer import Running

_OUTCOMES = {
    Outcome.EQUAL: admin_pb2.COMPARISON_OUTCOME_EQUAL,
    Outcome.QUARANTINED: admin_pb2.COMPARISON_OUTCOME_QUARANTINED,
    Outcome.UNDECIDED: admin_pb2.COMPARISON_OUTCOME_UNDECIDED,
    Outcome.INCOMPLETE: admin_pb2.COMPARISON_OUTCOME_INCOMPLETE,
}


def partition_status(
    view: ReplicaView, leadership: Leadership, now: float, running: Running | None, failures: FailureCounters
) -> admin_pb2.PartitionStatus:
    """A partition that this node is the primary of. `now`: monotonic seconds; `running`: the comparison under way."""
    partition, activity = view.partition, view.partition.activity
    return admin_pb2.PartitionStatus(
        partition=partition_to_proto(view.info),
        serving=leadership.serving and leadership.lease_until > now and not partition.quarantined,
        estimated_records=round(partition.estimate.records),
        estimated_bytes=round(partition.estimate.bytes),
        sequence=partition.log.history.last,
        reads=activity.reads,
        writes=activity.writes,
        scanned=activity.scanned,
        read_failures=failure_counts(failures.reads(view.info.id)),
        write_failures=failure_counts(failures.writes(view.info.id)),
        known=True,
        comparison=_comparison(view, running),
        followers=[_follower(node, each, now) for node, each in leadership.followers.items()],
    )


def loads_response(answer: Answer[LoadFigures], *, read_only: bool) -> admin_pb2.ListLoadsResponse:
    """The figures that the controller plans by. `read_only`: whether this node refuses writes."""
    return admin_pb2.ListLoadsResponse(
        session=answer.session,
        version=answer.version,
        complete=answer.complete,
        loads=[_load(*each) for each in answer.figures],
        removed_partitions=answer.removed,
        read_only=read_only,
    )


def failure_counts(counts: FailuresByClass) -> admin_pb2.FailureCounts:
    """Failed operations, by class."""
    classes = OutcomeClass.CLIENT, OutcomeClass.REFUSED, OutcomeClass.SERVER
    return admin_pb2.FailureCounts(**{each.value: counts.get(each, 0) for each in classes})


def replica_status(view: ReplicaView, me: NodeId) -> admin_pb2.ReplicaStatus:
    """A replica of node `me`."""
    partition, position = view.partition, view.partition.log.position
    return admin_pb2.ReplicaStatus(
        partition_id=view.info.id,
        node=me,
        start=partition.range.start,
        end=partition.range.end or b"",
        epoch=view.info.epoch,
        position_epoch=position.epoch,
        position_sequence=position.seq,
        promised=view.promised,
        primary=view.leadership is not None,
        needs_snapshot=view.needs_snapshot,
        quarantined=partition.quarantined,
    )


def _load(partition: PartitionId, figures: LoadFigures) -> admin_pb2.PartitionLoad:
    return admin_pb2.PartitionLoad(
        partition_id=partition,
        start=figures.range.start,
        end=figures.range.end or b"",
        estimated_bytes=figures.bytes,
        estimated_records=figures.records,
        operations=figures.operations,
        silent=[admin_pb2.SilentReplica(node=node, silent_s=seconds) for node, seconds in figures.silent],
    )


def _follower(node: NodeId, each: FollowerView, now: float) -> admin_pb2.FollowerStatus:
    return admin_pb2.FollowerStatus(
        node=node,
        sequence=each.sequence,
        silent_s=max(0.0, now - each.silent_since),
        needs_snapshot=each.needs_snapshot,
    )


def _comparison(view: ReplicaView, running: Running | None) -> admin_pb2.ComparisonStatus:
    status, compared = admin_pb2.ComparisonStatus(), view.partition.compared
    if compared is not None:
        status.completed_ms, status.outcome = compared.at_ms, _OUTCOMES[compared.outcome]
        status.records = compared.records
        status.nodes.extend(compared.nodes)
    if running is not None and running.partition == view.info.id:
        status.running, status.progress = True, running.progress
    return status
