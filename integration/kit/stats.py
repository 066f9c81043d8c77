"""Answers of Metrics about a small cluster."""

import math
from array import array
from collections.abc import Sequence
from typing import Any

from dstk.v1 import metrics_pb2

NOW_MS = 1_700_000_000_000


def partition_stats(number: int, node: int = 1, **fields: Any) -> metrics_pb2.PartitionStats:
    """The figures of a partition that node `storage-<node>` leads and has just told."""
    return metrics_pb2.PartitionStats(
        **{
            "partition_id": number,
            "primary": f"storage-{node}",
            "age_s": 1.0,
            "serving": True,
            "counted": True,
            **fields,
        }
    )


def totals(**fields: Any) -> metrics_pb2.ClusterStats:
    """The totals of three nodes that are well."""
    known = {
        "at_ms": NOW_MS,
        "nodes": 3,
        "reporting_nodes": 3,
        "partitions": 12,
        "serving_partitions": 12,
        "replicas": 36,
        "in_sync_replicas": 36,
        "free_bytes": 60 << 30,
        "capacity_bytes": 100 << 30,
    }
    return metrics_pb2.ClusterStats(**{**known, **fields})


def history(
    rows: Sequence[Sequence[float | None]], *, starts: Sequence[bytes] = (), column_ms: int = 60_000, **fields: Any
) -> metrics_pb2.GetHistoryResponse:
    """A matrix of these values, None where nothing is known, with columns of a minute each from NOW_MS on."""
    columns = len(rows[0]) if rows else 0
    values = array("f", [math.nan if value is None else value for row in rows for value in row])
    known: dict[str, Any] = {
        "figure": metrics_pb2.FIGURE_READS,
        "row_starts": starts or [b"", *(f"user:{at:04}".encode() for at in range(1, len(rows)))],
        "column_times_ms": [NOW_MS + at * column_ms for at in range(columns)],
        "until_ms": NOW_MS + columns * column_ms,
        "values": values.tobytes(),
    }
    return metrics_pb2.GetHistoryResponse(**{**known, **fields})
