"""How many of something are admitted in a second."""

import math
import time
from collections.abc import Callable


class Rate:
    """At most `most` in a second, which begins with the first that it admits. `monotonic`: seconds."""

    def __init__(self, most: int, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._most, self._monotonic = most, monotonic
        self._second, self._count = -math.inf, 0

    def admits(self) -> bool:
        """Whether there is room for one more in this second; it counts then."""
        now = self._monotonic()
        if now - self._second >= 1:
            self._second, self._count = now, 0
        if self._count >= self._most:
            return False
        self._count += 1
        return True
