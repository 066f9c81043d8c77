"""What every partition has done since the service knows it, as a table: what Prometheus gets is made of it."""

from dataclasses import dataclass

import numpy as np

from dstk_metrics.domain.book import Book
from dstk_metrics.domain.report import Counter, Floats, Numbers, State

DONE = (
    Counter.READS,
    Counter.WRITES,
    Counter.SCANNED,
    Counter.READ_BYTES,
    Counter.WRITTEN_BYTES,
    Counter.REFUSED_FAILURES,
    Counter.BUSY_S,
)
"""The columns of `done`; the failures of the node itself are added to those that it refused."""
FAILURES = DONE.index(Counter.REFUSED_FAILURES)
AMOUNTS = (State.RECORDS, State.BYTES)
"""The columns of `amounts`."""


@dataclass(frozen=True, slots=True)
class PartitionTable:
    """n partitions, in no order, as copies. `slots`: those of the book. `done`: (n, DONE), grows for as long as the partition
    is in the map, whichever node leads it. `amounts`: (n, AMOUNTS), as last said; 0: never.
    """

    ids: Numbers
    slots: Numbers
    done: Floats
    amounts: Floats


def partition_table(book: Book) -> PartitionTable:
    """All partitions of the map as they are now."""
    slot_of = book.layout.slot_of
    ids = np.fromiter(slot_of.keys(), np.intp, len(slot_of))
    slots = np.fromiter(slot_of.values(), np.intp, len(slot_of))
    done = book.columns.totals[slots][:, DONE]
    done[:, FAILURES] += book.columns.totals[slots, Counter.SERVER_FAILURES]
    return PartitionTable(ids, slots, done, book.columns.state[slots][:, AMOUNTS])
