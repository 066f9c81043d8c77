"""Limits how often a message is logged: a fault that meets every call must not cost each of them a line.

Per logger and message (before its arguments are filled in), as a token bucket: a few lines at once, then one a second. The next
line that is written says how many were suppressed before it. Lines about an action of the control plane are never suppressed;
neither are those of the level debug, which someone has asked for.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

from typing_extensions import override

BURST: Final = 3
"""Lines with the same message at once."""

PERIOD_SECONDS: Final = 1.0
"""Between lines after that."""

SETTLED_SECONDS: Final = 10.0
"""A message that was not logged for so long has its suppressed lines counted in a line of their own."""

MOST_MESSAGES: Final = 1000
"""Messages with a limit of their own; the others share one."""


class Message(NamedTuple):
    """What is limited."""

    logger: str
    level: int
    text: str


_OTHERS: Final = Message("dstk_service.logs", logging.WARNING, "messages of many kinds")


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float
    suppressed: int = 0

    def take(self, now: float) -> bool:
        self.tokens = min(BURST, self.tokens + (now - self.at) / PERIOD_SECONDS)
        self.at = now
        if self.tokens < 1:
            self.suppressed += 1
            return False
        self.tokens -= 1
        return True


class Throttle(logging.Filter):
    """Suppresses lines, and adds `suppressed` to those that follow."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._monotonic = monotonic
        self._buckets: dict[Message, _Bucket] = {}
        self._lock = threading.Lock()

    @override
    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno <= logging.DEBUG or hasattr(record, "action") or hasattr(record, "suppressed"):
            return True
        with self._lock:
            bucket, now = self._bucket(record), self._monotonic()
            if not bucket.take(now):
                return False
            if bucket.suppressed:
                record.suppressed, bucket.suppressed = bucket.suppressed, 0
            return True

    def settled(self, *, at_least: float = SETTLED_SECONDS) -> list[tuple[Message, int]]:
        """Messages that were not logged for so many seconds, with how many lines were suppressed; each is returned once."""
        with self._lock:
            before = self._monotonic() - at_least
            old = {message: bucket for message, bucket in self._buckets.items() if bucket.at <= before}
            for message in old:
                del self._buckets[message]
            return [(message, bucket.suppressed) for message, bucket in old.items() if bucket.suppressed]

    def _bucket(self, record: logging.LogRecord) -> _Bucket:
        message = Message(record.name, record.levelno, str(record.msg))
        if message not in self._buckets and len(self._buckets) >= MOST_MESSAGES:
            message = _OTHERS
        return self._buckets.setdefault(message, _Bucket(BURST, self._monotonic()))
