"""Computes the loads of partitions from successive samples of their counters."""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from dstk_keytypes import KeyRange, NodeId, PartitionId
from dstk_storage.domain.controller.model import Load
from dstk_storage.domain.controller.ports import ClusterSample, PartitionSample

PEAK_SAMPLES: Final = 60
"""How many measurements, about one a second, the peak covers."""

MIN_SECONDS: Final = 0.5
"""The shortest interval to measure: a shorter one says little."""


@dataclass(slots=True)
class _Counter:
    """The last count of a partition's operations at one primary, and the rates measured so far."""

    node: NodeId
    range: KeyRange
    at: float
    count: int
    rates: deque[float] = field(default_factory=lambda: deque(maxlen=PEAK_SAMPLES))

    def continues_in(self, sample: PartitionSample) -> bool:
        """Whether the sample continues this count: not after a transfer, a split, a merge or a restart."""
        same = self.node == sample.node and self.range == sample.range
        return same and sample.operations >= self.count


class LoadTracker:
    """Remembers counters from sample to sample. Times are monotonic, in seconds."""

    def __init__(self) -> None:
        self._counters: dict[PartitionId, _Counter] = {}

    def measure(self, sample: ClusterSample, now: float) -> dict[PartitionId, Load]:
        """Returns the load of each partition in the sample."""
        current = {partition.id for partition in sample.map.partitions}
        self._counters = {number: counter for number, counter in self._counters.items() if number in current}
        return {number: self._measure(number, each, now) for number, each in sample.partitions.items()}

    def reset(self) -> None:
        """Forgets all counters: the next sample does not follow the last one."""
        self._counters.clear()

    def _measure(self, number: PartitionId, sample: PartitionSample, now: float) -> Load:
        counter = self._counters.get(number)
        if counter is None or not counter.continues_in(sample):
            counter = self._counters[number] = _Counter(sample.node, sample.range, now, sample.operations)
        elif now - counter.at >= MIN_SECONDS:
            counter.rates.append((sample.operations - counter.count) / (now - counter.at))
            counter.at, counter.count = now, sample.operations
        return _load(sample, counter.rates)


def _load(sample: PartitionSample, rates: deque[float]) -> Load:
    return Load(
        sample.bytes,
        sample.records,
        rates[-1] if rates else None,
        min(rates[-1], rates[-2]) if len(rates) > 1 else None,
        max(rates) if len(rates) == PEAK_SAMPLES else None,
        sample.followers,
    )
