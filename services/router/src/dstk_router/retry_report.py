"""The observer that reports what the router's client has to repeat, and what it gives up: a line of the log at most every 10 s,
and none while all goes well.
"""

import logging
from collections import Counter

from typing_extensions import override

from dstk_client.events import AttemptRetried, CallFailed
from dstk_service.clock import Clock
from dstk_service.observe import Event, Observer
from dstk_service.service import Background, Part

log = logging.getLogger(__name__)

PERIOD_SECONDS = 10.0


class RetryReport(Part, Observer):
    """Counts retries and failures by reason. Refusals that are the caller's doing, such as an etag that does
    not match, count among the failures.
    """

    name = "retry report"

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._retries: Counter[str] = Counter()
        self._failures: Counter[str] = Counter()

    @override
    def observe(self, event: Event) -> None:
        match event:
            case AttemptRetried(reason):
                self._retries[reason] += 1
            case CallFailed(reason):
                self._failures[reason] += 1

    @override
    async def start(self, background: Background) -> None:
        background(self._run())

    @override
    async def close(self) -> None:
        self.report()

    def report(self) -> None:
        """Writes the line, if there is anything to say, and begins to count from zero."""
        if self._retries or self._failures:
            counts = {"retries": dict(self._retries), "failures": dict(self._failures)}
            log.info("operations were retried or failed", extra=counts)
        self._retries.clear()
        self._failures.clear()

    async def _run(self) -> None:
        while True:
            await self._clock.sleep(PERIOD_SECONDS)
            self.report()
