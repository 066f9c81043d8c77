"""The series of partitions at /metrics: those that stand out in the cluster, and sums of the others."""

from collections.abc import Callable

from dstk_keytypes import PartitionId
from dstk_metrics.domain.partition_table import PartitionTable
from dstk_metrics.domain.top_partitions import Look, TopPartitions
from dstk_telemetry.metrics.instruments import Instruments
from dstk_telemetry.metrics.top_series import Counted, TopSeries
from dstk_telemetry.registry import cluster_partitions
from dstk_telemetry.registry.labels import TOP_PARTITIONS


class ClusterSeries:
    """Looks at all partitions at each scrape."""

    def __init__(
        self, instruments: Instruments, table: Callable[[], PartitionTable], top: int = TOP_PARTITIONS
    ) -> None:
        self._table, self._top = table, TopPartitions(top)
        self._series = TopSeries[PartitionId](cluster_partitions.COUNTERS, cluster_partitions.AMOUNTS)
        instruments.refresh(self._refresh)
        instruments.read(self._series.samples)

    async def _refresh(self) -> None:
        look = self._top.look(self._table())
        shown = {PartitionId(int(look.table.ids[row])): _counted(look, row) for row in look.top.tolist()}
        total = Counted(tuple(look.done.sum(axis=0).tolist()), tuple(look.table.amounts.sum(axis=0).tolist()))
        self._series.update(shown, total, set(look.table.ids.tolist()))


def _counted(look: Look, row: int) -> Counted:
    return Counted(tuple(look.done[row].tolist()), tuple(look.table.amounts[row].tolist()))
