"""Slots whose ranges have different borders: what each says of the parts that all borders together make."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from dstk_metrics.domain.history.slots import Indices, Milliseconds, Slot
from dstk_metrics.domain.slices import Values


class Spread(NamedTuple):
    """The figures of a slot, for each part: `values` and `known_ms` as in Slot."""

    values: Values
    known_ms: Milliseconds


class Borders:
    """The parts that the borders of some slots cut the key space into. `starts`: where the parts start, ascending.

    A range that others cut was cut later or merged earlier, and nothing tells how its figures were distributed: its sums are
    divided evenly over its parts. TiDB gives more to parts whose borders are near in time; that needs the distance of
    each border from each slot, and is no less of a guess.
    """

    def __init__(self, axes: Iterable[Sequence[bytes]]) -> None:
        # Most slots share their axis, as one object: what is computed is kept by identity.
        self._axes = {id(axis): axis for axis in axes}
        distinct = list(self._axes.values())
        self.starts: Sequence[bytes] = distinct[0] if len(distinct) == 1 else sorted(set[bytes]().union(*distinct))
        self._index = {start: index for index, start in enumerate(self.starts)} if len(distinct) > 1 else {}
        self._parts: dict[int, Indices] = {}

    def spread(self, slot: Slot) -> Spread:
        """Divides the figures of a slot over the parts. Its axis is one of those that the borders were made of."""
        if slot.starts is self.starts:
            return Spread(slot.values, slot.known_ms)
        parts = self._parts_of(slot.starts)
        return Spread(np.repeat(slot.values / parts.astype(np.float32), parts, axis=1), np.repeat(slot.known_ms, parts))

    def _parts_of(self, axis: Sequence[bytes]) -> Indices:
        """How many parts each range of the axis has."""
        found = self._parts.get(id(axis))
        if found is None:
            first = np.fromiter(map(self._index.__getitem__, axis), np.intp, len(axis))
            found = self._parts[id(axis)] = np.diff(first, append=len(self.starts))
        return found
