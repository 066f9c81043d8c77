"""Rows of the book as messages."""

import math
from collections.abc import Sequence

import numpy as np

from dstk.v1 import metrics_pb2
from dstk_metrics.domain.book import Book, ages
from dstk_metrics.domain.report import Counter, Numbers, State


def messages(book: Book, slots: Numbers, now: float, stale_after_s: float) -> list[metrics_pb2.PartitionStats]:
    """The partitions in these slots. `now`: monotonic seconds."""
    columns = book.columns
    age = ages(columns, slots, now)
    rates = np.where(columns.rated[slots, None], columns.rates[slots], 0.0)
    made = []
    table = zip(
        slots.tolist(),
        age.tolist(),
        rates.tolist(),
        columns.state[slots].tolist(),
        columns.percentiles[slots].tolist(),
        strict=True,
    )
    for slot, seconds, rate, state, times in table:
        message = _identified(book, slot)
        if math.isinf(seconds):
            message.age_s, message.stale = -1.0, True
        else:
            message.age_s, message.stale = seconds, seconds > stale_after_s
            _fill(message, rate, state, times)
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


def _fill(
    message: metrics_pb2.PartitionStats, rate: Sequence[float], state: Sequence[float], times: Sequence[float]
) -> None:
    """What the node says."""
    message.reads, message.writes = rate[Counter.READS], rate[Counter.WRITES]
    message.scanned, message.time = rate[Counter.SCANNED], rate[Counter.BUSY_S]
    message.read_bytes, message.written_bytes = rate[Counter.READ_BYTES], rate[Counter.WRITTEN_BYTES]
    if rate[Counter.BATCHES]:
        message.queue_wait_s = rate[Counter.QUEUE_WAIT_S] / rate[Counter.BATCHES]
    message.failures.CopyFrom(failures(rate))
    message.read_latency.p50_s, message.read_latency.p99_s = times[0], times[1]
    message.write_latency.p50_s, message.write_latency.p99_s = times[2], times[3]
    message.records, message.records_error = int(state[State.RECORDS]), int(state[State.RECORDS_ERROR])
    message.bytes, message.bytes_error = int(state[State.BYTES]), int(state[State.BYTES_ERROR])
    message.counted, message.serving = bool(state[State.COUNTED]), bool(state[State.SERVING])
    message.sequence = int(state[State.SEQUENCE])
    message.lag_entries, message.lag_s = int(state[State.LAG_ENTRIES]), state[State.LAG_S]


def failures(rate: Sequence[float]) -> metrics_pb2.FailureRates:
    """The failures among rates by Counter."""
    return metrics_pb2.FailureRates(
        client=rate[Counter.CLIENT_FAILURES],
        refused=rate[Counter.REFUSED_FAILURES],
        server=rate[Counter.SERVER_FAILURES],
    )
