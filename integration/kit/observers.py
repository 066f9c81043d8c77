"""Observers that fail."""

from typing_extensions import override

from dstk_service.observe import Event, Observer


class BreakingObserver(Observer):
    """Raises whenever it is told of something."""

    def __init__(self, error: Exception | None = None) -> None:
        self.told = 0
        self._error = error or ValueError("of the observer")

    @override
    def observe(self, event: Event) -> None:
        self.told += 1
        raise self._error
