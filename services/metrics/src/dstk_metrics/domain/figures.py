"""What is counted of a partition."""

from enum import IntEnum


class Figure(IntEnum):
    """The same numbers as Figure in metrics.proto, which says what each of them is."""

    READS = 1
    WRITES = 2
    SCANNED = 3
    READ_BYTES = 4
    WRITTEN_BYTES = 5
    FAILURES = 6
    TIME = 7
    RECORDS = 8
    BYTES = 9
    LAG = 10


RATES = (
    Figure.READS,
    Figure.WRITES,
    Figure.SCANNED,
    Figure.READ_BYTES,
    Figure.WRITTEN_BYTES,
    Figure.FAILURES,
    Figure.TIME,
)
"""A second. Over a longer time they are means; over several partitions, sums."""

AMOUNTS = (Figure.RECORDS, Figure.BYTES)
"""As of the end of a time; over several partitions, sums."""

HISTORY = (*RATES, *AMOUNTS)
"""What the history keeps: the order of the rows of a Slice."""
