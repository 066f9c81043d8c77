"""What the book knows of the contents of whole partitions."""

from typing import NamedTuple

from dstk_cluster.model import PartitionInfo
from dstk_metrics.domain.book import Book
from dstk_metrics.domain.report import State
from dstk_service.clock import Clock


class Count(NamedTuple):
    """Live records and bytes of a partition, and by how much each may be wrong, in 99 of 100 cases."""

    records: float
    bytes: float
    errors: tuple[float, float]


VAGUE = 0.05
"""A count that may be wrong by such a part is not used: the partition is measured."""


class Counts:
    """Counts that are not older than `stale_after_s` seconds."""

    def __init__(self, book: Book, clock: Clock, stale_after_s: float) -> None:
        self._book, self._clock, self._stale_after_s = book, clock, stale_after_s

    def of(self, partition: PartitionInfo) -> Count | None:
        """What the primary of a partition counts; None: it does not know, or has been silent, or leads another range."""
        layout, columns = self._book.layout, self._book.columns
        slot = layout.slot_of.get(partition.id)
        if slot is None or layout.ranges[slot] != (partition.range.start, partition.range.end or b""):
            return None
        age = self._clock.monotonic() - columns.confirmed_at[slot]
        state = columns.state[slot].tolist()
        if not columns.rated[slot] or not state[State.COUNTED] or age > self._stale_after_s:
            return None
        count = Count(state[State.RECORDS], state[State.BYTES], (state[State.RECORDS_ERROR], state[State.BYTES_ERROR]))
        is_vague = count.errors[0] > VAGUE * count.records or count.errors[1] > VAGUE * count.bytes
        return None if is_vague else count
