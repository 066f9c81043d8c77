"""What is kept of a node besides the rows of its partitions."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from dstk_metrics.domain.columns import NEVER
from dstk_metrics.domain.report import Disk, Floats, Report, Rows

MAX_EARLY = 10_000
"""The most rows of a node that wait for the map."""


@dataclass(frozen=True, slots=True)
class Early:
    """A row that is ahead of our map: it says that the node leads a partition, or a range, of which the map does not know yet.
    It is kept, since the node does not repeat what has not changed.
    """

    row: Rows
    session: int
    uptime_s: float


@dataclass(slots=True)
class Teller:
    """A node. `number` of its session: no two sessions of all nodes have the same. `windows`: latency histograms of all its
    partitions between the last two updates, of reads and of writes.
    """

    session: str = ""
    number: int = -1
    bounds: tuple[float, ...] = ()
    heard_at: float = NEVER
    disk: Disk = field(default_factory=Disk)
    early: dict[int, Early] = field(default_factory=dict)
    windows: Floats = field(default_factory=lambda: np.zeros((2, 0)))

    def keep(self, report: Report, rows: Sequence[int]) -> int:
        """Keeps rows that are ahead of the map. Returns how many are not kept, since there are too many."""
        for count, row in enumerate(rows):
            partition = report.rows.ids[row]
            if len(self.early) >= MAX_EARLY and partition not in self.early:
                return len(rows) - count
            without_keys = replace(report.rows.only([row]), keys=[()])  # which refer to the whole message
            self.early[partition] = Early(without_keys, self.number, report.uptime_s)
        return 0
