"""Updates of a node, from messages to columns. What a peer says is checked before it is believed."""

import math
from collections.abc import Iterable, Sequence
from itertools import chain, pairwise
from operator import attrgetter

import numpy as np

from dstk.v1 import statistics_pb2
from dstk_keytypes import limits
from dstk_metrics.domain.report import Disk, Flags, Floats, Refusal, Rows
from dstk_service.metrics_requests import MAX_SESSION

MAX_BOUNDS = 128
"""The most buckets of a latency histogram."""
MAX_FIGURE = float(1 << 53)
"""Counters above are not exact in a float, and no node gets there."""
MAX_SAMPLES = 128
MAX_FOLLOWERS = 64

_COUNTERS = attrgetter("reads", "writes", "scanned", "read_bytes", "written_bytes", "busy_s", "queue_wait_s", "batches")
_STATE = attrgetter("records", "records_error", "bytes", "bytes_error", "counted", "sequence")
_FAILURES = attrgetter("client", "refused", "server")

Partition = statistics_pb2.PartitionStatistics


class UpdateRefused(Exception):
    """The update as a whole cannot be believed: the feed begins again."""


def check_head(update: statistics_pb2.StatisticsUpdate) -> None:
    """Raises UpdateRefused for what is wrong with an update itself."""
    if not 1 <= len(update.session) <= MAX_SESSION:
        raise UpdateRefused(f"its session has {len(update.session)} characters, and needs 1..{MAX_SESSION}")
    if not 0 <= update.uptime_s < MAX_FIGURE:  # NaN is neither
        raise UpdateRefused(f"its uptime_s is {update.uptime_s!r}")
    if update.complete:
        _check_bounds(update.latency_bounds_s)
    disk = update.node
    if not disk.free_bytes <= disk.capacity_bytes <= MAX_FIGURE:
        raise UpdateRefused(f"it has {disk.free_bytes!r} free bytes of {disk.capacity_bytes!r}")


def _check_bounds(bounds: Sequence[float]) -> None:
    if not 1 <= len(bounds) <= MAX_BOUNDS:
        raise UpdateRefused(f"it has {len(bounds)} latency_bounds_s, and needs 1..{MAX_BOUNDS}")
    ascending = all(lower < upper for lower, upper in pairwise([0.0, *bounds]))
    if not ascending or not math.isfinite(bounds[-1]):
        raise UpdateRefused(f"its latency_bounds_s do not ascend from above 0: {list(bounds)!r}")


def disk_of(update: statistics_pb2.StatisticsUpdate) -> Disk:
    """The node's disk."""
    return Disk(update.node.free_bytes, update.node.capacity_bytes, update.node.read_only)


def rows_of(partitions: Sequence[Partition], buckets: int) -> tuple[Rows, dict[Refusal, int]]:
    """The rows that can be true, and how many are refused, by reason. `buckets`: of latency histograms."""
    reads, writes = [each.read_latency for each in partitions], [each.write_latency for each in partitions]
    failures = zip(map(_failures, partitions), map(_COUNTERS, partitions), strict=True)
    counters = [(*each[:5], *failed, *each[5:]) for failed, each in failures]
    state = [(*_STATE(each), *_lag(each), each.serving) for each in partitions]
    rows = Rows(
        [each.partition_id for each in partitions],
        [(each.start, each.end) for each in partitions],
        [each.epoch for each in partitions],
        np.array(counters, np.float64).reshape(len(partitions), 11),
        np.array(state, np.float64).reshape(len(partitions), 9),
        _histograms(reads, buckets),
        _histograms(writes, buckets),
        [each.sampled_keys for each in partitions],
    )
    return _believed(rows, partitions, buckets)


def _failures(partition: Partition) -> tuple[int, int, int]:
    """Failures of reads and of writes; most partitions have none."""
    counts = (0, 0, 0)
    for field in ("read_failures", "write_failures"):
        if partition.HasField(field):
            failed = _FAILURES(getattr(partition, field))
            counts = (counts[0] + failed[0], counts[1] + failed[1], counts[2] + failed[2])
    return counts


def _lag(partition: Partition) -> tuple[int, float]:
    """The largest of the followers in sync."""
    entries, seconds = 0, 0.0
    for follower in partition.followers:
        if follower.in_sync:
            entries = max(entries, follower.lag_entries)
            seconds = max(seconds, follower.lag_s)
    return entries, seconds


def _histograms(histograms: Sequence[Sequence[int]], buckets: int) -> Floats:
    """A row for each histogram; those with too many buckets are cut, and refused later."""
    lengths = [min(len(each), buckets) for each in histograms]
    table = np.zeros((len(histograms), buckets))
    total = sum(lengths)
    if total:
        row = np.repeat(np.arange(len(histograms)), lengths)
        begin = np.repeat(np.cumsum(lengths) - lengths, lengths)
        cut = (each[:buckets] if len(each) > buckets else each for each in histograms)
        table[row, np.arange(total) - begin] = np.fromiter(chain.from_iterable(cut), np.float64, total)
    return table


def _believed(rows: Rows, partitions: Sequence[Partition], buckets: int) -> tuple[Rows, dict[Refusal, int]]:
    """Without the rows that cannot be true."""
    checks = {
        Refusal.FIGURES: ~(_sane(rows.counters) & _sane(rows.state)),
        Refusal.REPEATED: _repeated(rows.ids),
        Refusal.RANGE: _flags(map(_is_no_range, rows.ids, rows.ranges)),
        Refusal.BUCKETS: _flags(
            len(each.read_latency) > buckets or len(each.write_latency) > buckets for each in partitions
        ),
        Refusal.FOLLOWERS: _flags(len(each.followers) > MAX_FOLLOWERS for each in partitions),
        Refusal.SAMPLES: _flags(len(keys) > MAX_SAMPLES for keys in rows.keys),
    }
    wrong, refused = np.zeros(len(rows), np.bool_), dict[Refusal, int]()
    for reason, bad in checks.items():
        if count := int((bad & ~wrong).sum()):
            refused[reason] = count
        wrong |= bad
    return (rows.only(np.flatnonzero(~wrong).tolist()) if refused else rows), refused


def _flags(each: Iterable[bool]) -> Flags:
    return np.fromiter(each, np.bool_)


def _sane(table: Floats) -> Flags:
    with np.errstate(invalid="ignore"):
        return np.array(((table >= 0) & (table <= MAX_FIGURE)).all(axis=1), np.bool_)


def _repeated(ids: Sequence[int]) -> Flags:
    """All rows of an id but the first."""
    again = np.zeros(len(ids), np.bool_)
    if len(set(ids)) < len(ids):
        seen = set[int]()
        for row, partition in enumerate(ids):
            again[row] = partition in seen
            seen.add(partition)
    return again


def _is_no_range(partition: int, span: tuple[bytes, bytes]) -> bool:
    start, end = span
    long = max(len(start), len(end)) > limits.MAX_KEY_BYTES
    return partition < 1 or long or bool(end and start >= end)
