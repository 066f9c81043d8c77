"""Steps that failed, and until when each rests: one that cannot be made must neither be tried every second nor be in the
way of the others.
"""

from typing import Final

from dstk_storage.domain.controller.model import Attempt

FIRST_SECONDS: Final = 2.0
MOST_SECONDS: Final = 120.0
FORGOTTEN_SECONDS: Final = 600.0
"""An attempt that has not been made for so long begins anew."""


class Backoff:
    """Doubles the rest with each failure in a row. Time is given to it, monotonic, in seconds."""

    def __init__(self) -> None:
        self._failures: dict[Attempt, tuple[int, float]] = {}

    def failed(self, attempt: Attempt, now: float) -> float:
        """Notes a failure: for how many seconds the attempt rests."""
        count = self._failures.get(attempt, (0, 0.0))[0] + 1
        seconds = min(MOST_SECONDS, FIRST_SECONDS * float(1 << min(count - 1, 30)))
        self._failures[attempt] = (count, now + seconds)
        return seconds

    def succeeded(self, attempt: Attempt) -> None:
        """Forgets its failures."""
        self._failures.pop(attempt, None)

    def resting(self, now: float) -> frozenset[Attempt]:
        """What is not to be tried yet."""
        known = self._failures.items()
        self._failures = {attempt: (n, until) for attempt, (n, until) in known if now - until < FORGOTTEN_SECONDS}
        return frozenset(attempt for attempt, (_, until) in self._failures.items() if until > now)
