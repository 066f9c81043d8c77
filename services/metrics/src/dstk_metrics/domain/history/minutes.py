"""Slices of any length become slots of one minute each."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from dstk_metrics.domain.figures import RATES
from dstk_metrics.domain.history.join import join
from dstk_metrics.domain.history.slots import Slot, of_slice
from dstk_metrics.domain.history.tiers import MINUTE_MS
from dstk_metrics.domain.slices import Slice

LONGEST_MS = 5 * MINUTE_MS
"""A slice that claims to be longer, or not to end after it begins, was made while the clock jumped: its end is taken as right,
and it counts for the minute before.
"""


class Minute(NamedTuple):
    """A minute that is over: its begin, Unix ms, a multiple of a minute."""

    begin_ms: int
    slot: Slot


@dataclass
class OpenMinutes:
    """The minute in progress. A slice that lies in two minutes counts for both, for as long as it lies in each."""

    _parts: dict[int, list[Slot]] = field(default_factory=dict)
    _starts: Sequence[bytes] = ()

    def add(self, given: Slice) -> list[Minute]:
        """Takes a slice and returns the minutes that are over: all but the one that the slice ends in, in order of arrival."""
        if given.starts != self._starts:
            self._starts = given.starts
        given = replace(given, starts=self._starts)  # one object: slots with the same ranges are joined faster
        end_ms = given.end_ms
        begin_ms = given.begin_ms if 0 < end_ms - given.begin_ms <= LONGEST_MS else end_ms - MINUTE_MS
        for minute in range(begin_ms - begin_ms % MINUTE_MS, end_ms, MINUTE_MS):
            covered_ms = min(end_ms, minute + MINUTE_MS) - max(begin_ms, minute)
            self._parts.setdefault(minute, []).append(of_slice(given, covered_ms))
        return self._close(end_ms - end_ms % MINUTE_MS)

    def close(self) -> list[Minute]:
        """Returns the minute in progress as well: the service stops."""
        return self._close(None)

    def _close(self, still_open: int | None) -> list[Minute]:
        over = [minute for minute in self._parts if minute != still_open]
        return [Minute(minute, join(self._parts.pop(minute), len(RATES))) for minute in over]
