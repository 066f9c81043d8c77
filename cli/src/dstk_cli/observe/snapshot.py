"""What `dstk top` shows at one moment: the cluster's totals, its busiest partitions, and its nodes as sums of these."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Self

from dstk.v1 import metrics_pb2
from dstk_cli.messages import as_json
from dstk_cli.observe import quantities
from dstk_cli.observe.quantities import Load
from dstk_client.metrics import MetricsClient
from dstk_keytypes import KeyRange
from dstk_service.figures import timestamp

BUSIEST = 1_000
"""How many partitions the figures of nodes are summed up from. To ask for all of 100,000 takes seconds."""

RATES = ("reads", "writes", "scanned", "read_bytes", "written_bytes", "time")


@dataclass(frozen=True, slots=True)
class NodeLoad:
    """A node, as the sum of the partitions that it leads. `known`: how many of them it has told the figures of. `failures` a
    second: refused, or failed there.
    """

    node: str
    partitions: int
    known: int
    failures: float
    rates: dict[str, float]

    @classmethod
    def of(cls, node: str, led: Sequence[metrics_pb2.PartitionStats]) -> Self:
        """The sum of the partitions."""
        failures = sum(each.failures.refused + each.failures.server for each in led)
        rates = {name: sum(getattr(each, name) for each in led) for name in RATES}
        return cls(node, len(led), sum(each.age_s >= 0 for each in led), failures, rates)

    def as_json(self) -> dict[str, Any]:
        """The node as one object."""
        counts = {"partitions": self.partitions, "known_partitions": self.known}
        return {"node": self.node, **counts, "failures": self.failures, **self.rates}


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The totals, the partitions with the largest load first, and how many partitions there are."""

    totals: metrics_pb2.ClusterStats
    partitions: Sequence[metrics_pb2.PartitionStats]
    total: int
    by: Load

    @property
    def is_whole(self) -> bool:
        """Whether all partitions are in the snapshot."""
        return self.total <= len(self.partitions)

    def nodes(self) -> list[NodeLoad]:
        """The nodes that lead partitions of the snapshot, the busiest first."""
        led: dict[str, list[metrics_pb2.PartitionStats]] = {}
        for each in self.partitions:
            led.setdefault(each.primary, []).append(each)
        rate = self.by.name.lower()
        loads = [NodeLoad.of(node, partitions) for node, partitions in led.items()]
        return sorted(loads, key=lambda load: (-load.rates[rate], load.node))

    def as_json(self, limit: int) -> dict[str, Any]:
        """The snapshot as one object, with at most so many partitions, the busiest ones."""
        return {
            "at": timestamp(self.totals.at_ms),
            "totals": as_json(self.totals),
            "nodes": [load.as_json() for load in self.nodes()],
            "partitions": list(map(as_json, self.partitions[:limit])),
        }


async def snapshots(metrics: MetricsClient, by: Load, interval_s: float) -> AsyncGenerator[Snapshot, None]:
    """Yields snapshots, the first one at once. Raises DstkError when the service stops answering."""
    async with aclosing(metrics.watch(round(interval_s * 1000))) as stream:
        async for totals in stream:
            busiest = await metrics.partition_stats(KeyRange(), sort_by=quantities.number(by), limit=BUSIEST)
            yield Snapshot(totals, busiest.partitions, busiest.total, by)
