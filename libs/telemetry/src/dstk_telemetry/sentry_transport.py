"""The way of reports to Sentry: its SDK's own, which counts what it loses."""

from typing import Any

from sentry_sdk.transport import HttpTransport
from typing_extensions import override

_REFUSED = "status_429"
"""The SDK does not record these as lost: the server has counted them."""


class CountingTransport(HttpTransport):
    """Counts reports that found the queue full, or that the endpoint did not take. Its own thread and callers count in turns:
    a number that is one too low now and then harms nobody.
    """

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__(options)
        self.lost = 0

    @override
    def record_lost_event(self, *_: object, quantity: int = 1, **__: object) -> None:
        self.lost += quantity

    @override
    def on_dropped_event(self, reason: str) -> None:
        if reason == _REFUSED:
            self.lost += 1
