"""Metrics of the commit pipeline and of the disk under it."""

from dstk_telemetry.registry.buckets import BATCH, DISK_SECONDS
from dstk_telemetry.registry.kinds import Owner, Unit, counter, gauge, histogram

STORAGE = (Owner.STORAGE,)

COMMIT_WAIT = histogram(
    "dstk_commit_wait_seconds",
    "How long the oldest write of an engine write had waited for the disk.",
    unit=Unit.SECONDS,
    buckets=DISK_SECONDS,
    owners=STORAGE,
)
COMMIT_WRITE = histogram(
    "dstk_commit_write_seconds",
    "How long an engine write with its fsync took, the way to the thread and back included.",
    unit=Unit.SECONDS,
    buckets=DISK_SECONDS,
    owners=STORAGE,
)
COMMIT_BATCHES = histogram(
    "dstk_commit_batches",
    "Batches, of all partitions, in an engine write.",
    unit=Unit.COUNT,
    buckets=BATCH,
    owners=STORAGE,
)
COMMIT_RECORDS = counter("dstk_commit_records_total", "Puts and removals that reached the disk.", owners=STORAGE)
COMMIT_BYTES = counter("dstk_commit_bytes_total", "Bytes of keys and values that reached the disk.", owners=STORAGE)
COMMIT_FAILURES = counter("dstk_commit_failures_total", "Engine writes that the disk refused.", owners=STORAGE)
QUEUE_WRITES = gauge("dstk_commit_queue_writes", "Writes that gather for the next batches.", owners=STORAGE)
QUEUE_BYTES = gauge("dstk_commit_queue_bytes", "Bytes of keys and values that gather.", unit=Unit.BYTES, owners=STORAGE)
QUEUE_AGE = gauge(
    "dstk_commit_oldest_seconds",
    "Age of the oldest engine write that has not ended; 0: there is none.",
    unit=Unit.SECONDS,
    owners=STORAGE,
)
DISK_FREE = gauge(
    "dstk_disk_free_bytes",
    "Bytes that the file system of the data directory has left.",
    unit=Unit.BYTES,
    owners=STORAGE,
)
DISK_CAPACITY = gauge(
    "dstk_disk_capacity_bytes", "Size of the file system of the data directory.", unit=Unit.BYTES, owners=STORAGE
)
DISK_RESERVE = gauge(
    "dstk_disk_reserve_bytes",
    "Below so many free bytes the node accepts deletions only.",
    unit=Unit.BYTES,
    owners=STORAGE,
)
READ_ONLY = gauge(
    "dstk_disk_read_only",
    "1 while the node takes no writes of data: its disk is full, or a write has failed.",
    owners=STORAGE,
)

METRICS = (
    COMMIT_WAIT,
    COMMIT_WRITE,
    COMMIT_BATCHES,
    COMMIT_RECORDS,
    COMMIT_BYTES,
    COMMIT_FAILURES,
    QUEUE_WRITES,
    QUEUE_BYTES,
    QUEUE_AGE,
    DISK_FREE,
    DISK_CAPACITY,
    DISK_RESERVE,
    READ_ONLY,
)
