"""Which partitions stand out, and what all of them have done since the last look."""

from dataclasses import dataclass

import numpy as np

from dstk_metrics.domain.partition_table import AMOUNTS, DONE, PartitionTable
from dstk_metrics.domain.report import Counter, Floats, Numbers

_READ, _WRITTEN = DONE.index(Counter.READ_BYTES), DONE.index(Counter.WRITTEN_BYTES)
_RANKED = [DONE.index(each) for each in (Counter.READS, Counter.WRITES, Counter.BUSY_S)]


@dataclass(frozen=True, slots=True)
class Look:
    """A table, with what each partition has done since the look before. `top`: rows of those that stand out."""

    table: PartitionTable
    done: Floats
    top: Numbers


class TopPartitions:
    """Ranks partitions by reads, writes, bytes moved and time since the last look, and by records and size now."""

    def __init__(self, top: int) -> None:
        self._top = top
        self._ids: Numbers = np.zeros(0, np.intp)
        self._seen: Floats = np.zeros((0, len(DONE)))
        """By slot: whose it was at the last look, and what that partition had done."""

    def look(self, table: PartitionTable) -> Look:
        """What a partition did after the last look and before it left the map is not counted."""
        self._grow(int(table.slots.max(initial=-1)) + 1)
        same = self._ids[table.slots] == table.ids
        done = table.done - np.where(same[:, None], self._seen[table.slots], 0.0)
        self._ids[table.slots], self._seen[table.slots] = table.ids, table.done
        return Look(table, done, self._standing_out(done, table.amounts))

    def _standing_out(self, done: Floats, amounts: Floats) -> Numbers:
        moved = done[:, _READ] + done[:, _WRITTEN]
        figures = [*(done[:, each] for each in _RANKED), moved, *(amounts[:, each] for each in range(len(AMOUNTS)))]
        return np.unique(np.concatenate([self._largest(each) for each in figures]))

    def _largest(self, figures: Floats) -> Numbers:
        """Rows with the largest figures; none with 0."""
        rows = (
            np.argpartition(figures, -self._top)[-self._top :] if len(figures) > self._top else np.arange(len(figures))
        )
        return rows[figures[rows] > 0]

    def _grow(self, slots: int) -> None:
        more = slots - len(self._ids)
        if more > 0:
            self._ids = np.concatenate([self._ids, np.zeros(more, np.intp)])
            self._seen = np.concatenate([self._seen, np.zeros((more, len(DONE)))])
