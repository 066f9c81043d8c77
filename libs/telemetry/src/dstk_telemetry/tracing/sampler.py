"""Which calls without a context begin a trace."""

import math
import random
import time
from collections.abc import Callable

from typing_extensions import override

from dstk_service.rate import Rate
from dstk_service.trace import Following, Sampler, TraceContext

MOST_TRACES_A_SECOND = 20
"""A put makes four spans on its primary alone, and a span takes 0.1 ms of Python until it is sent. At 75,000 operations a
second, tracing a hundredth of them would take a third of the processor; so it takes less than a hundredth.
"""


class RatioSampler(Sampler):
    """Picks calls at a ratio of 0 to 1, at random, and at most MOST_TRACES_A_SECOND.

    It draws how many calls to pass over rather than a number for each call: a call that is not picked costs a subtraction.
    """

    def __init__(
        self,
        ratio: float,
        rng: random.Random | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        most: int = MOST_TRACES_A_SECOND,
    ) -> None:
        self._ratio = ratio
        self._rng = rng or random.Random()  # noqa: S311 - no secret
        self._rate, self._following = Rate(most, monotonic), Following(monotonic)
        self._left = self._draw()
        """The number of the call that is picked next, counted from 1."""

    @override
    def pick(self, calls: int = 1) -> int | None:
        if calls < self._left:
            self._left -= calls
            return None
        at = int(self._left) - 1
        self._left = self._draw()
        return at if self._rate.admits() else None

    @override
    def follows(self, context: TraceContext) -> bool:
        return self._following.admits(context)

    def _draw(self) -> float:
        if self._ratio <= 0:
            return math.inf
        if self._ratio >= 1:
            return 1
        return 1 + math.floor(math.log(1 - self._rng.random()) / math.log1p(-self._ratio))
