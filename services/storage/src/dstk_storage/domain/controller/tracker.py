"""What one look cannot tell: for how long nodes have been missing, and operations a second."""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from dstk_cluster.model import ClusterMap
from dstk_keytypes import KeyRange, NodeId, PartitionId
from dstk_storage.domain.controller.model import Load
from dstk_storage.domain.controller.ports import Figures, Observation

PEAK_LOOKS: Final = 60
"""Measurements, about one a second, of which the highest counts where partitions may be merged."""

LEAST_SECONDS: Final = 0.5
"""Between two measurements: what is shorter says little."""

FORGOTTEN_SECONDS: Final = 86_400.0
"""A node that is missing for so long, and has no place in the map, is not remembered any more."""


@dataclass(slots=True)
class _Counter:
    """A partition's operations at one primary, as they were counted last, and what they came to a second."""

    node: NodeId
    range: KeyRange
    at: float
    count: int
    rates: deque[float] = field(default_factory=lambda: deque(maxlen=PEAK_LOOKS))


class Tracker:
    """Remembers from look to look. Time is given to it, monotonic, in seconds."""

    def __init__(self) -> None:
        self._seen: set[NodeId] = set()
        self._missing: dict[NodeId, float] = {}
        self._counters: dict[PartitionId, _Counter] = {}

    def see(self, current: ClusterMap, now: float) -> None:
        """Takes note of who is there. Known are those that were seen alive, and those with a place in the map."""
        placed = {node for partition in current.partitions for node in partition.replicas}
        self._seen |= set(current.nodes)
        for node in (self._seen | placed) - set(current.nodes):
            since = self._missing.setdefault(node, now)
            if now - since > FORGOTTEN_SECONDS and node not in placed:
                self._seen.discard(node)
        known = (self._seen | placed) - set(current.nodes)
        self._missing = {node: since for node, since in self._missing.items() if node in known}

    def gone(self, now: float) -> dict[NodeId, float]:
        """The missing nodes, and for how many seconds each has been missing."""
        return {node: now - since for node, since in self._missing.items()}

    def measure(self, seen: Observation, now: float) -> dict[PartitionId, Load]:
        """The loads of the partitions whose figures are known."""
        current = {partition.id for partition in seen.map.partitions}
        self._counters = {number: counter for number, counter in self._counters.items() if number in current}
        return {number: self._load(number, figures, now) for number, figures in seen.figures.items()}

    def rest(self) -> None:
        """Forgets the measurements, which would not follow on from the next ones."""
        self._counters.clear()

    def _load(self, number: PartitionId, figures: Figures, now: float) -> Load:
        counter = self._counters.get(number)
        if counter is None or not _goes_on(counter, figures):
            counter = self._counters[number] = _Counter(figures.node, figures.range, now, figures.operations)
        elif now - counter.at >= LEAST_SECONDS:
            counter.rates.append((figures.operations - counter.count) / (now - counter.at))
            counter.at, counter.count = now, figures.operations
        return _load(figures, counter.rates)


def _goes_on(counter: _Counter, figures: Figures) -> bool:
    """Whether the count is the same one, further on: not after a transfer, a split, a merge or a restart."""
    same = counter.node == figures.node and counter.range == figures.range
    return same and figures.operations >= counter.count


def _load(figures: Figures, rates: deque[float]) -> Load:
    return Load(
        figures.bytes,
        figures.records,
        rates[-1] if rates else None,
        min(rates[-1], rates[-2]) if len(rates) > 1 else None,
        max(rates) if len(rates) == PEAK_LOOKS else None,
        figures.followers,
    )
