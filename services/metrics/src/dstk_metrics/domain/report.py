"""What a node says of its partitions, as columns: one row for each partition, checked by the adapter that received it."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
"""Counters are exact in it up to 2^53."""
Numbers = NDArray[np.intp]
Flags = NDArray[np.bool_]


class Refusal(StrEnum):
    """Why a row is not believed."""

    FIGURES = "a figure that is not a number in 0..2^53"
    REPEATED = "a partition that is named twice"
    RANGE = "a range that is none"
    BUCKETS = "too many latency buckets"
    FOLLOWERS = "too many followers"
    SAMPLES = "too many sampled keys, or sampled keys outside of the range"
    ORDER = "an update that goes on from one that never came"
    UNKNOWN = "too many rows of partitions that the map does not have"
    MAP = "another primary or range than the map has at the same epoch"
    FELL = "counters that fell"


class Counter(IntEnum):
    """Columns of `Rows.counters`: what only grows while the node's process lives. Failures are those of reads and writes."""

    READS = 0
    WRITES = 1
    SCANNED = 2
    READ_BYTES = 3
    WRITTEN_BYTES = 4
    CLIENT_FAILURES = 5
    REFUSED_FAILURES = 6
    SERVER_FAILURES = 7
    BUSY_S = 8
    QUEUE_WAIT_S = 9
    BATCHES = 10


class State(IntEnum):
    """Columns of `Rows.state`: as of the report. Flags are 0 or 1. The lag is the largest of the followers in sync."""

    RECORDS = 0
    RECORDS_ERROR = 1
    BYTES = 2
    BYTES_ERROR = 3
    COUNTED = 4
    SEQUENCE = 5
    LAG_ENTRIES = 6
    LAG_S = 7
    SERVING = 8


@dataclass(frozen=True, slots=True)
class Rows:
    """n partitions. `ranges`: start and end of each; an end of b"" is the end of the key space.

    `counters`: (n, Counter). `state`: (n, State). `reads`, `writes`: (n, buckets), counters of latencies by bucket. `keys`:
    sampled keys of recent operations, which nobody has looked at yet.
    """

    ids: Sequence[int]
    ranges: Sequence[tuple[bytes, bytes]]
    epochs: Sequence[int]
    counters: Floats
    state: Floats
    reads: Floats
    writes: Floats
    keys: Sequence[Sequence[bytes]]

    def __len__(self) -> int:
        return len(self.ids)

    def only(self, rows: Sequence[int]) -> "Rows":
        """The rows with these numbers."""
        return Rows(
            [self.ids[i] for i in rows],
            [self.ranges[i] for i in rows],
            [self.epochs[i] for i in rows],
            self.counters[rows],
            self.state[rows],
            self.reads[rows],
            self.writes[rows],
            [self.keys[i] for i in rows],
        )


def joined(parts: Sequence[Rows]) -> Rows:
    """The rows of at least one part, in one."""
    if len(parts) == 1:
        return parts[0]
    return Rows(
        [each for part in parts for each in part.ids],
        [each for part in parts for each in part.ranges],
        [each for part in parts for each in part.epochs],
        np.concatenate([part.counters for part in parts]),
        np.concatenate([part.state for part in parts]),
        np.concatenate([part.reads for part in parts]),
        np.concatenate([part.writes for part in parts]),
        [each for part in parts for each in part.keys],
    )


@dataclass(frozen=True, slots=True)
class Disk:
    """The disk of a node. Bytes."""

    free: int = 0
    capacity: int = 0
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """One update of a node. `session` identifies the node's process. `uptime_s`: seconds, by a clock that never jumps, at which
    the counters had these values. `bounds`: upper bounds of the latency buckets, in seconds; there is one more bucket.

    `complete`: `rows` has every partition that the node leads, and nothing said before counts. Otherwise it has those that
    changed, and `removed` those that the node leads no longer.
    """

    session: str
    version: int
    complete: bool
    uptime_s: float
    bounds: tuple[float, ...]
    disk: Disk
    removed: Sequence[int]
    rows: Rows
