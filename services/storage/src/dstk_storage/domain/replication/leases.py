"""Leases without clocks in common. Pure: whoever asks says what time it is.

A primary sends its followers heartbeats. A follower that hears one promises not to take over for GRACE, counted from hearing
it. The primary serves while every follower has answered one that was sent at most LEASE ago. Since a heartbeat is heard after
it is sent, and LEASE < GRACE, a primary has stopped serving before any of its followers may take over, however long the
heartbeat and its answer were under way. Both are a partition's own, not a node's: a follower that has promised a higher epoch
of one partition does not answer for that one, however well it hears its old primary (the simulation found out what happens
else). Clocks need not agree on the time, only roughly on how long a second is.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from dstk_keytypes import PartitionId


@dataclass(frozen=True, slots=True)
class Timing:
    """In seconds. Invariant: heartbeat < lease < grace, with a tenth between the last two for clocks that run apart."""

    heartbeat: float = 0.1
    lease: float = 0.7
    grace: float = 0.9
    start: float = 3.0
    """The grace of a primary that was not heard since this node started: when all start at once, it is starting as well."""
    stall: float = 2.0
    """How long a follower that answers heartbeats may leave a batch without an answer: its disk hangs, or its map is old."""

    def __post_init__(self) -> None:
        assert self.heartbeat < self.lease <= 0.9 * self.grace <= 0.9 * self.start, f"{self} is not safe"


def lease_end(timing: Timing, answered: Iterable[float]) -> float:
    """When a primary must stop serving, given when the last heartbeat was sent that each of its required followers has answered
    for this partition at this epoch; without followers, never.
    """
    return min(answered, default=math.inf) + timing.lease


@dataclass(slots=True)
class Promises:
    """What a follower has promised: when it last heard the primary of each partition. A restart forgets, so it counts as
    more than hearing all of them.
    """

    timing: Timing
    started: float
    heard: dict[PartitionId, float] = field(default_factory=dict)

    def hear(self, partition: PartitionId, now: float) -> None:
        """A heartbeat that claims the partition arrived, and will be answered."""
        self.heard[partition] = now

    def bound_until(self, partition: PartitionId) -> float:
        """Until when the partition may not be taken over."""
        heard = self.heard.get(partition)
        return self.started + self.timing.start if heard is None else heard + self.timing.grace
