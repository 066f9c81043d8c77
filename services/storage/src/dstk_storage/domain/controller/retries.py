"""Attempts that failed, and until when each must not be repeated.

An attempt that cannot succeed must neither be repeated every second nor delay other attempts.
"""

from typing import Final

from dstk_service.backoff import Backoff
from dstk_storage.domain.controller.model import Attempt

BACKOFF: Final = Backoff(first=2.0, longest=120.0)
FORGOTTEN_SECONDS: Final = 600.0
"""After this long without a failure, the failures of an attempt are forgotten."""


class RetrySchedule:
    """Counts the failures in a row of each attempt. Times are monotonic, in seconds."""

    def __init__(self) -> None:
        self._failures: dict[Attempt, tuple[int, float]] = {}

    def failed(self, attempt: Attempt, now: float) -> float:
        """Records a failure. Returns for how many seconds the attempt must not be repeated."""
        count = self._failures.get(attempt, (0, 0.0))[0] + 1
        seconds = BACKOFF.delay(count)
        self._failures[attempt] = (count, now + seconds)
        return seconds

    def succeeded(self, attempt: Attempt) -> None:
        """Forgets the failures of an attempt."""
        self._failures.pop(attempt, None)

    def backing_off(self, now: float) -> frozenset[Attempt]:
        """Returns the attempts that must not be repeated yet."""
        known = self._failures.items()
        self._failures = {attempt: (n, until) for attempt, (n, until) in known if now - until < FORGOTTEN_SECONDS}
        return frozenset(attempt for attempt, (_, until) in self._failures.items() if until > now)
