"""Rows of the book as messages."""

import math
from collections.abc import Sequence

from dstk.v1 import metrics_pb2
from dstk_metrics.domain.book import Book, ages
from dstk_metrics.domain.report import Numbers


def messages(book: Book, slots: Numbers, now: float, stale_after_s: float) -> list[metrics_pb2.PartitionStats]:
    """The partitions in these slots. `now`: monotonic seconds."""
    columns = book.columns
    age = ages(columns, slots, now)
    table = zip(
        slots.tolist(),
        age.tolist(),
        (age > stale_after_s).tolist(),
        columns.rates[slots].tolist(),
        columns.state[slots].tolist(),
        columns.percentiles[slots].tolist(),
        strict=True,
    )
    made = []
    for slot, seconds, stale, rates, state, times in table:
        message = _identified(book, slot)
        message.stale, message.age_s = stale, -1.0 if math.isinf(seconds) else seconds
        if message.age_s >= 0:
            _write_rates(message, rates)
            _write_state(message, state)
            _write_times(message, times)
        made.append(message)
    return made


def _identified(book: Book, slot: int) -> metrics_pb2.PartitionStats:
    """What the map says."""
    info = book.layout.infos[slot]
    assert info is not None
    start, end = book.layout.ranges[slot]
    return metrics_pb2.PartitionStats(
        partition_id=info.id,
        start=start,
        end=end,
        epoch=info.epoch,
        primary=info.primary,
        replicas=len(info.replicas),
        in_sync=len(info.in_sync),
    )


def _write_rates(message: metrics_pb2.PartitionStats, rates: Sequence[float]) -> None:
    """`rates` by Counter. To take a list apart costs a tenth of looking up each of its columns by name."""
    reads, writes, scanned, read_bytes, written_bytes, *failed, busy, queue_wait, batches = rates
    message.reads, message.writes, message.scanned = reads, writes, scanned
    message.read_bytes, message.written_bytes, message.time = read_bytes, written_bytes, busy
    if batches:
        message.queue_wait_s = queue_wait / batches
    if any(failed):
        write_failures(message.failures, failed)


def _write_state(message: metrics_pb2.PartitionStats, state: Sequence[float]) -> None:
    """`state` by State."""
    records, records_error, size, size_error, counted, sequence, lag_entries, lag_s, serving = state
    message.records, message.records_error = int(records), int(records_error)
    message.bytes, message.bytes_error = int(size), int(size_error)
    message.counted, message.sequence, message.serving = counted > 0, int(sequence), serving > 0
    message.lag_entries, message.lag_s = int(lag_entries), lag_s


def _write_times(message: metrics_pb2.PartitionStats, times: Sequence[float]) -> None:
    if times[0] or times[1]:
        message.read_latency.p50_s, message.read_latency.p99_s = times[:2]
    if times[2] or times[3]:
        message.write_latency.p50_s, message.write_latency.p99_s = times[2:]


def write_failures(message: metrics_pb2.FailureRates, failed: Sequence[float]) -> None:
    """Failures a second: of the caller's, refused, of the node's."""
    message.client, message.refused, message.server = failed
