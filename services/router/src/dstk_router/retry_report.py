"""The observer that reports what the router's client has to repeat, and what it gives up: a line of the log for each reason
every 10 s, and none while all goes well.
"""

import logging
from collections import Counter

from typing_extensions import override

from dstk_client.events import AttemptRetried, CallFailed
from dstk_service.clock import Clock
from dstk_service.logs.fields import LogFields
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
        """Writes the lines, if there is anything to say, and begins to count from zero."""
        _tell("operations were retried", self._retries)
        _tell("operations failed", self._failures)
        self._retries.clear()
        self._failures.clear()

    async def _run(self) -> None:
        while True:
            await self._clock.sleep(PERIOD_SECONDS)
            self.report()


def _tell(what: str, counts: Counter[str]) -> None:
    """Writes a line for each reason; each is a message of its own to the log's throttle."""
    for reason, count in counts.items():
        message = f"{what}: {reason}"
        log.info(message, extra=LogFields(error_code=reason, count=count))
