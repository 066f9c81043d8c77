"""/metrics/partitions: the series of every partition, for those who have room for them: 100,000 of them are 900,000 lines."""

from collections.abc import Iterator
from functools import partial
from typing import Final

from dstk_metrics.domain.partition_table import PartitionTable
from dstk_metrics.domain.report import Floats, Numbers
from dstk_telemetry.registry import cluster_partitions
from dstk_telemetry.registry.kinds import Metric
from dstk_telemetry.streamed import Piece

PATH: Final = "/metrics/partitions"
LINES = 2_000
"""Of a piece."""


def every_partition(table: PartitionTable) -> Iterator[Piece]:
    """The pieces of the text: one family of series after the other."""
    figures = [*table.done.T, *table.amounts.T]
    for metric, values in zip(cluster_partitions.METRICS, figures, strict=True):
        yield partial(_head, metric)
        for at in range(0, len(values), LINES):
            yield partial(_lines, metric, table.ids[at : at + LINES], values[at : at + LINES])


def _head(metric: Metric) -> bytes:
    return f"# HELP {metric.name} {metric.help}\n# TYPE {metric.name} {metric.kind}\n".encode()


def _lines(metric: Metric, ids: Numbers, values: Floats) -> bytes:
    begin = f'{metric.name}{{partition="'
    rows = zip(ids.tolist(), values.tolist(), strict=True)
    return "".join([f'{begin}{number}"}} {value}\n' for number, value in rows]).encode()
