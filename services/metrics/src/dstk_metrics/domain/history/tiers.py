"""Which slots there are: short ones for the last hour, longer ones the longer ago, as in TiDB's Key Visualizer."""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import NamedTuple

MINUTE_MS = 60_000


class Tier(NamedTuple):
    """Slots of the same length: how long, and how many at most."""

    length_ms: int
    size: int


TIERS = (
    Tier(MINUTE_MS, 60),
    Tier(2 * MINUTE_MS, 210),
    Tier(6 * MINUTE_MS, 160),
    Tier(30 * MINUTE_MS, 288),
    Tier(240 * MINUTE_MS, 168),
)
"""One hour, 7 hours, 16 hours, 6 days, 4 weeks. Each length is a multiple of the one before."""

SPAN_MS = sum(tier.length_ms * tier.size for tier in TIERS)
"""How long the whole history is: almost five weeks."""


@dataclass(frozen=True, slots=True, order=True)
class SlotKey:
    """A slot's time and place. `begin_ms`: Unix ms, a multiple of the tier's length.

    `written`: grows with every new slot, across restarts. It tells the age of a slot; the clock does not: one that jumps ahead
    and back would make the past look old, or leave slots of the future that never become old.
    """

    begin_ms: int
    tier: int
    written: int

    @property
    def end_ms(self) -> int:
        """When it ends."""
        return self.begin_ms + TIERS[self.tier].length_ms

    def covers(self, time_ms: int) -> bool:
        """Whether the time is in the slot."""
        return self.begin_ms <= time_ms < self.end_ms


class Merge(NamedTuple):
    """The slots `sources`, in order of time, become `target`; without target they are dropped."""

    sources: tuple[SlotKey, ...]
    target: SlotKey | None


def place(keys: Collection[SlotKey], minute_ms: int) -> SlotKey:
    """Returns the slot that has the minute that begins at `minute_ms`, or else a new one."""
    for key in keys:
        if key.covers(minute_ms):
            return key
    return SlotKey(minute_ms, 0, 1 + max((key.written for key in keys), default=0))


def next_merge(keys: Collection[SlotKey]) -> Merge | None:
    """Returns what to do next so that no tier has too many slots; None when all fit.

    Invariant: no two slots overlap. A target takes over all slots within its time, of whichever tier.
    """
    counts = Counter(key.tier for key in keys)
    for number, tier in enumerate(TIERS):
        if counts[number] > tier.size:
            return _merge_of(min((key for key in keys if key.tier == number), key=lambda key: key.written), keys)
    return None


def oldest_first(keys: Iterable[SlotKey]) -> list[SlotKey]:
    """Returns the slots in the order in which they are dropped when there is no room."""
    return sorted(keys, key=lambda key: (-key.tier, key.written))


def _merge_of(oldest: SlotKey, keys: Collection[SlotKey]) -> Merge:
    if oldest.tier == len(TIERS) - 1:
        return Merge((oldest,), None)
    length_ms = TIERS[oldest.tier + 1].length_ms
    begin_ms = oldest.begin_ms - oldest.begin_ms % length_ms
    sources = tuple(sorted(key for key in keys if begin_ms <= key.begin_ms < begin_ms + length_ms))
    written = max(key.written for key in sources if key.tier == max(source.tier for source in sources))
    return Merge(sources, SlotKey(begin_ms, oldest.tier + 1, written))
