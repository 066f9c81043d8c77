"""The partition map as slots: every partition has one for as long as it is in the map, wherever its range lies."""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import is_

import numpy as np

from dstk_cluster.model import PartitionInfo
from dstk_metrics.domain.report import Numbers

Range = tuple[bytes, bytes]
"""Start and end; an end of b"" is the end of the key space."""


@dataclass(slots=True)
class Changes:
    """Slots that a newer map has changed. `gone` are free; `came` are new; `other`: another primary or another range; `recut`,
    of these: another range.
    """

    gone: list[int] = field(default_factory=list)
    came: list[int] = field(default_factory=list)
    other: list[int] = field(default_factory=list)
    recut: list[int] = field(default_factory=list)


class Layout:
    """Slots by id, by key and by primary. A change of the map costs the part of it that has changed, and a comparison of
    addresses for the rest.
    """

    def __init__(self) -> None:
        self.infos: list[PartitionInfo | None] = []
        """By slot."""
        self.ranges: list[Range] = []
        """By slot."""
        self.slot_of: dict[int, int] = {}
        """By partition id."""
        self.order: Numbers = np.zeros(0, np.intp)
        """Slots by key."""
        self.starts: list[bytes] = []
        """Where the ranges start, by key."""
        self.replicas: Counter[str] = Counter()
        """How many replicas each node has."""
        self.in_sync = 0
        """How many replicas are in sync."""
        self._partitions: Sequence[PartitionInfo] = ()
        self._free: list[int] = []
        self._led: dict[str, set[int]] = {}
        self._led_arrays: dict[str, Numbers] = {}

    def __len__(self) -> int:
        return len(self._partitions)

    @property
    def slots(self) -> int:
        """How many slots there are, free ones included."""
        return len(self.infos)

    def led_by(self, node: str) -> Numbers:
        """The slots of the partitions that the node leads."""
        if node not in self._led_arrays:
            self._led_arrays[node] = np.array(sorted(self._led.get(node, ())), np.intp)
        return self._led_arrays[node]

    def positions(self, start: bytes, end: bytes) -> tuple[int, int]:
        """From which position to which (exclusive) the partitions lie that have keys of the range; end b"": no end."""
        if end and start >= end:
            return 0, 0
        first = max(0, bisect_right(self.starts, start) - 1)
        return first, bisect_left(self.starts, end) if end else len(self.starts)

    def follow(self, partitions: Sequence[PartitionInfo]) -> Changes:
        """Goes over to a newer map, whose partitions are in order of keys."""
        head, tail = _alike(self._partitions, partitions)
        old = self._partitions[head : len(self._partitions) - tail]
        new = partitions[head : len(partitions) - tail]
        changes = Changes()
        staying = {info.id for info in new}
        for info in old:
            if info.id not in staying:
                self._remove(info, changes)
        for info in new:
            self._set(info, changes)
        self._reorder(head, tail, new)
        self._partitions = partitions
        return changes

    def _reorder(self, head: int, tail: int, new: Sequence[PartitionInfo]) -> None:
        until = len(self.order) - tail
        slots = np.array([self.slot_of[info.id] for info in new], np.intp)
        self.order = np.concatenate([self.order[:head], slots, self.order[until:]])
        self.starts[head:until] = [info.range.start for info in new]

    def _remove(self, info: PartitionInfo, changes: Changes) -> None:
        slot = self.slot_of.pop(info.id)
        self._follow_nodes(slot, info, None)
        self.infos[slot] = None
        self._free.append(slot)
        changes.gone.append(slot)

    def _set(self, info: PartitionInfo, changes: Changes) -> None:
        slot = self.slot_of.get(info.id)
        span = (info.range.start, info.range.end or b"")
        if slot is None:
            slot = self.slot_of[info.id] = self._new_slot()
            changes.came.append(slot)
        before = self.infos[slot]
        if before is not None and self.ranges[slot] != span:
            changes.recut.append(slot)
        if before is not None and (before.primary != info.primary or self.ranges[slot] != span):
            changes.other.append(slot)
        self._follow_nodes(slot, before, info)
        self.infos[slot], self.ranges[slot] = info, span

    def _new_slot(self) -> int:
        if self._free:
            return self._free.pop()
        self.infos.append(None)
        self.ranges.append((b"", b""))
        return len(self.infos) - 1

    def _follow_nodes(self, slot: int, before: PartitionInfo | None, now: PartitionInfo | None) -> None:
        if before is not None:
            self._led[before.primary].discard(slot)
            self._led_arrays.pop(before.primary, None)
            self.replicas.subtract(before.replicas)
            self.in_sync -= len(before.in_sync)
        if now is not None:
            self._led.setdefault(now.primary, set()).add(slot)
            self._led_arrays.pop(now.primary, None)
            self.replicas.update(now.replicas)
            self.in_sync += len(now.in_sync)


def _alike(old: Sequence[PartitionInfo], new: Sequence[PartitionInfo]) -> tuple[int, int]:
    """How many entries at the front, and how many of the others at the back, are the same objects."""
    head = _same(old, new)
    tail = _same(old[head:][::-1], new[head:][::-1])
    return head, tail


def _same(old: Sequence[PartitionInfo], new: Sequence[PartitionInfo]) -> int:
    for count, alike in enumerate(map(is_, old, new)):
        if not alike:
            return count
    return min(len(old), len(new))
