"""Computes the loads of partitions from successive samples of their counters."""

from collections import deque
from typing import Final

from dstk_cluster.model import ClusterMap
from dstk_keytypes import PartitionId
from dstk_storage.domain.controller.model import Load
from dstk_storage.domain.controller.ports import ClusterSample, PartitionSample

PEAK_SAMPLES: Final = 60
"""How many measurements, about one a second, the peak covers."""

MIN_SECONDS: Final = 0.5
"""The shortest interval to measure: a shorter one says little."""


class _Counter:
    """The last sample of a partition at one primary, when it was measured, and the rates measured so far."""

    def __init__(self, sample: PartitionSample, now: float) -> None:
        self._sample, self._at = sample, now
        self._rates: deque[float] = deque(maxlen=PEAK_SAMPLES)
        self._load = _load(sample, self._rates)

    def continues_in(self, sample: PartitionSample) -> bool:
        """Whether the sample continues this count: not after a transfer, a split, a merge or a restart."""
        last = self._sample
        return sample is last or (
            last.node == sample.node and last.range == sample.range and sample.operations >= last.operations
        )

    def measure(self, sample: PartitionSample, now: float) -> Load:
        """Returns the load; the same object while the partition is idle."""
        if now - self._at < MIN_SECONDS:
            return _load(sample, self._rates)
        idle = sample is self._sample and self._load.peak == 0.0
        self._rates.append((sample.operations - self._sample.operations) / (now - self._at))
        self._sample, self._at = sample, now
        if not idle:
            self._load = _load(sample, self._rates)
        return self._load


class LoadTracker:
    """Remembers counters from sample to sample. Times are monotonic, in seconds."""

    def __init__(self) -> None:
        self._counters: dict[PartitionId, _Counter] = {}
        self._map: ClusterMap | None = None

    def measure(self, sample: ClusterSample, now: float) -> dict[PartitionId, Load]:
        """Returns the load of each partition in the sample."""
        if sample.map is not self._map:
            self._map, current = sample.map, {partition.id for partition in sample.map.partitions}
            self._counters = {number: counter for number, counter in self._counters.items() if number in current}
        return {number: self._measure(number, each, now) for number, each in sample.partitions.items()}

    def reset(self) -> None:
        """Forgets all counters: the next sample does not follow the last one."""
        self._counters.clear()

    def _measure(self, number: PartitionId, sample: PartitionSample, now: float) -> Load:
        counter = self._counters.get(number)
        if counter is None or not counter.continues_in(sample):
            counter = self._counters[number] = _Counter(sample, now)
        return counter.measure(sample, now)


def _load(sample: PartitionSample, rates: deque[float]) -> Load:
    return Load(
        sample.bytes,
        sample.records,
        rates[-1] if rates else None,
        min(rates[-1], rates[-2]) if len(rates) > 1 else None,
        max(rates) if len(rates) == PEAK_SAMPLES else None,
        sample.silent,
    )
