"""What callers do with a partition, as its primary counts it."""

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

SAMPLE: Final = 64
"""One operation of so many is looked at more closely: its key is kept, and a get is timed. A power of two."""

RECENT: Final = 128
"""How many keys of a partition are kept."""

LATENCY_BOUNDS: Final = tuple(digit * 10.0**power for power in range(-6, 1) for digit in (1, 2, 5))
"""Upper bounds, inclusive, of the buckets of latency histograms: 1 µs to 5 s. The last bucket, which is one more, has none."""


@dataclass(slots=True)
class Activity:
    """Counters since the process started, or since the node first held the partition; they never fall.

    Operations count when they are taken; `batches` and the times of writes when they are on disk. To remove what has expired is
    no operation of a caller, and does not count.
    """

    reads: int = 0
    writes: int = 0
    """Each record of a bulk insert counts."""
    scanned: int = 0
    """Records that scans returned."""
    read_bytes: int = 0
    """Of keys and values of the records that gets and scans returned."""
    written_bytes: int = 0
    """Of keys and values that callers brought."""
    recent: deque[bytes] = field(default_factory=lambda: deque(maxlen=RECENT))
    """Keys of one operation in SAMPLE, the newest of them: where the load lies. A page of a scan is one operation."""
    sampled: int = 0
    """How many keys were ever put into `recent`."""
    pages: int = 0
    """Pages of scans that returned records."""
    read_latency: list[int] = field(default_factory=list)
    """Sampled gets by the engine's time, in the buckets of LATENCY_BOUNDS; empty: there were none."""
    write_latency: list[int] = field(default_factory=list)
    """Writes by the time until they were on disk, as above."""
    queue_wait: float = 0.0
    """Seconds that batches waited before they went to the disk, the sum of all batches."""
    batches: int = 0
    busy: float = 0.0
    """Seconds of the engine: for gets (64 times those of the samples), pages of scans, and the share of commits by bytes."""

    def sample(self, key: bytes) -> None:
        """Keeps the key of one operation in SAMPLE."""
        self.recent.append(key)
        self.sampled += 1

    def timed_read(self, key: bytes, seconds: float) -> None:
        """Takes a sampled get."""
        self.sample(key)
        _count(self.read_latency, seconds, 1)
        self.busy += seconds * SAMPLE

    def wrote_run(self, keys: Sequence[bytes], size: int) -> None:
        """Takes writes in a row, of `size` bytes in total."""
        first = SAMPLE - 1 - self.writes % SAMPLE
        self.writes += len(keys)
        self.written_bytes += size
        for key in keys[first::SAMPLE]:
            self.sample(key)

    def returned_page(self, first_key: bytes, records: int, size: int, seconds: float) -> None:
        """Takes a partition's share of a page of a scan."""
        self.pages += 1
        if not self.pages % SAMPLE:
            self.sample(first_key)
        self.scanned += records
        self.read_bytes += size
        self.busy += seconds

    def committed(self, writes: int, waited: float, latency: float, busy: float) -> None:
        """Takes a batch with so many writes of callers, which was on disk `latency` seconds after its first write came."""
        _count(self.write_latency, latency, writes)
        self.queue_wait += waited
        self.batches += 1
        self.busy += busy


def trimmed(histogram: Iterable[int]) -> tuple[int, ...]:
    """The buckets without those at the end that hold 0."""
    counts = tuple(histogram)
    while counts and not counts[-1]:
        counts = counts[:-1]
    return counts


def _count(histogram: list[int], seconds: float, weight: int) -> None:
    if not histogram:
        histogram.extend([0] * (len(LATENCY_BOUNDS) + 1))
    histogram[bisect_left(LATENCY_BOUNDS, seconds)] += weight
