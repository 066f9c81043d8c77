"""Delays between retries: they double with each failure in a row, up to a limit.

This is the one place for it. stamina and tenacity were not used: they wrap a call and sleep by themselves, with the random
module. Here the callers are loops and schedules that count their own failures, on an injected clock and an injected random
number generator, so that a simulation can repeat them.
"""

import random
from dataclasses import dataclass
from typing import Final

_MAX_DOUBLINGS: Final = 60
"""Keeps the power of two within a float."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """`first`: the delay after the first failure; `longest`: the limit. In seconds."""

    first: float
    longest: float

    def delay(self, failures: int) -> float:
        """Returns the delay after so many failures in a row (at least 1), without jitter."""
        return min(self.longest, self.first * float(1 << min(failures - 1, _MAX_DOUBLINGS)))

    def jittered(self, failures: int, rng: random.Random) -> float:
        """Returns between half of the delay and all of it, so that callers that failed together do not return together."""
        return self.delay(failures) * rng.uniform(0.5, 1.0)
