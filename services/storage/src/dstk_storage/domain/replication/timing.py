"""How long replicas wait for each other."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timing:
    """In seconds. Invariant: heartbeat < lease < grace, with a tenth between the last two for clocks that run apart."""

    heartbeat: float = 0.1
    lease: float = 0.7
    """How long a primary serves after it sent the last heartbeat that every required follower has answered."""
    grace: float = 0.9
    """How long a follower does not take over after it heard the primary's node."""
    start: float = 3.0
    """The grace period of a primary that was not heard since this node started: when all nodes start at once, it starts, too.
    """
    stall: float = 2.0
    """How long a follower that answers heartbeats may leave a batch unanswered: its disk hangs, or its map is old."""

    def __post_init__(self) -> None:
        assert self.heartbeat < self.lease <= 0.9 * self.grace <= 0.9 * self.start, f"{self} is not safe"
