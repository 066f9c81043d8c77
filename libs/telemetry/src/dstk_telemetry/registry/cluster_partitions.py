"""Metrics of the metrics service: single partitions of the cluster, within a budget; all of them at /metrics/partitions."""

from dstk_telemetry.registry.kinds import Owner, Unit, counter, gauge
from dstk_telemetry.registry.labels import CLUSTER_PARTITION

METRICS_SERVICE = (Owner.METRICS,)

READS = counter(
    "dstk_cluster_partition_reads_total",
    "Reads of a partition, whichever node leads it.",
    CLUSTER_PARTITION,
    owners=METRICS_SERVICE,
)
WRITES = counter(
    "dstk_cluster_partition_writes_total", "Writes to a partition.", CLUSTER_PARTITION, owners=METRICS_SERVICE
)
SCANNED = counter(
    "dstk_cluster_partition_scanned_records_total",
    "Records that scans of a partition returned.",
    CLUSTER_PARTITION,
    owners=METRICS_SERVICE,
)
READ_BYTES = counter(
    "dstk_cluster_partition_read_bytes_total",
    "Bytes of keys and values that reads and scans of a partition returned.",
    CLUSTER_PARTITION,
    unit=Unit.BYTES,
    owners=METRICS_SERVICE,
)
WRITTEN_BYTES = counter(
    "dstk_cluster_partition_written_bytes_total",
    "Bytes of keys and values that writes to a partition brought.",
    CLUSTER_PARTITION,
    unit=Unit.BYTES,
    owners=METRICS_SERVICE,
)
FAILURES = counter(
    "dstk_cluster_partition_failures_total",
    "Operations on a partition that its node refused, or that failed there.",
    CLUSTER_PARTITION,
    owners=METRICS_SERVICE,
)
TIME = counter(
    "dstk_cluster_partition_busy_seconds_total",
    "Time that nodes spent on a partition.",
    CLUSTER_PARTITION,
    unit=Unit.SECONDS,
    owners=METRICS_SERVICE,
)
RECORDS = gauge(
    "dstk_cluster_partition_records",
    "Live records of a partition, estimated.",
    CLUSTER_PARTITION,
    owners=METRICS_SERVICE,
)
SIZE = gauge(
    "dstk_cluster_partition_size_bytes",
    "Bytes of keys and values of a partition, estimated.",
    CLUSTER_PARTITION,
    unit=Unit.BYTES,
    owners=METRICS_SERVICE,
)

COUNTERS = (READS, WRITES, SCANNED, READ_BYTES, WRITTEN_BYTES, FAILURES, TIME)
"""In the order of the figures of the metrics service that are rates."""
AMOUNTS = (RECORDS, SIZE)
METRICS = (*COUNTERS, *AMOUNTS)
