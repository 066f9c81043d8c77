"""What a client tells its observer (dstk_service.observe)."""

from dataclasses import dataclass

from dstk_service.observe import Event


@dataclass(frozen=True, slots=True)
class AttemptRetried(Event):
    """An attempt failed, and the client makes another one. A redirect to another node has the reason NOT_OWNER."""

    reason: str
    """The error's, such as "NOT_OWNER"; UNSENT where the node did not receive the attempt, AMBIGUOUS where it may have."""
    pause: float
    """Seconds until the next attempt, at most: news of the map ends the pause."""
