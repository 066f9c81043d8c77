"""Updates of a node's statistics as they go over the wire, in messages of about 1 MiB."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Final

from dstk.v1 import admin_pb2, statistics_pb2
from dstk_keytypes import PartitionId
from dstk_service.answers import PART_BYTES
from dstk_storage.application.partition_statistics import Counters, Failures, FollowerStatistics, PartitionStatistics
from dstk_storage.application.statistics import NodeFigures, Update
from dstk_storage.domain.activity import LATENCY_BOUNDS

CHUNK: Final = 300
"""Partitions that are encoded between two pauses: 3 ms."""

Keys = Callable[[PartitionId], Sequence[bytes]]
"""Keys of recent operations of a partition that are new in the update."""


async def messages(
    update: Update, keys: Keys, pause: Callable[[], Awaitable[None]]
) -> AsyncIterator[statistics_pb2.StatisticsUpdate]:
    """The messages of an update; all but the last have `more`."""
    message, size = _first(update), 0
    for number, (partition, statistics) in enumerate(update.answer.figures, 1):
        encoded = _partition(partition, statistics, keys(partition))
        size += encoded.ByteSize()
        if size > PART_BYTES and message.partitions:
            message.more = True
            yield message
            message = statistics_pb2.StatisticsUpdate(session=update.answer.session, version=update.answer.version)
            size = encoded.ByteSize()
        message.partitions.append(encoded)
        if not number % CHUNK:
            await pause()
    yield message


def _first(update: Update) -> statistics_pb2.StatisticsUpdate:
    answer = update.answer
    return statistics_pb2.StatisticsUpdate(
        session=answer.session,
        version=answer.version,
        complete=answer.complete,
        removed_partitions=answer.removed,
        taken_at_ms=update.taken_at_ms,
        uptime_s=update.uptime,
        latency_bounds_s=LATENCY_BOUNDS if answer.complete else (),
        node=_node(update.node),
    )


def _node(figures: NodeFigures) -> statistics_pb2.NodeStatistics:
    return statistics_pb2.NodeStatistics(
        free_bytes=figures.free, capacity_bytes=figures.capacity, read_only=figures.read_only
    )


def _partition(
    partition: PartitionId, statistics: PartitionStatistics, keys: Sequence[bytes]
) -> statistics_pb2.PartitionStatistics:
    size = statistics.size
    encoded = statistics_pb2.PartitionStatistics(
        partition_id=partition,
        start=statistics.range.start,
        end=statistics.range.end or b"",
        epoch=statistics.epoch,
        records=size.records,
        records_error=size.records_error,
        bytes=size.bytes,
        bytes_error=size.bytes_error,
        counted=statistics.counted,
        sequence=statistics.sequence,
        serving=statistics.serving,
        sampled_keys=keys,
        followers=[_follower(each) for each in statistics.followers],
    )
    _write_counters(encoded, statistics.counters)
    return encoded


def _write_counters(encoded: statistics_pb2.PartitionStatistics, counters: Counters) -> None:
    encoded.reads, encoded.writes, encoded.scanned = counters.reads, counters.writes, counters.scanned
    encoded.read_bytes, encoded.written_bytes = counters.read_bytes, counters.written_bytes
    _write_failures(encoded.read_failures, counters.read_failures)
    _write_failures(encoded.write_failures, counters.write_failures)
    encoded.read_latency.extend(counters.read_latency)
    encoded.write_latency.extend(counters.write_latency)
    encoded.queue_wait_s, encoded.batches, encoded.busy_s = counters.queue_wait, counters.batches, counters.busy


def _write_failures(encoded: admin_pb2.FailureCounts, failures: Failures) -> None:
    if any(failures):
        encoded.client, encoded.refused, encoded.server = failures


def _follower(follower: FollowerStatistics) -> statistics_pb2.FollowerStatistics:
    return statistics_pb2.FollowerStatistics(
        node=follower.node,
        in_sync=follower.in_sync,
        lag_entries=follower.lag_entries,
        lag_s=follower.lag_seconds,
    )
