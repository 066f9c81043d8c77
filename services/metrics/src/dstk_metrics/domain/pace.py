"""How often nodes are asked: as often as the most impatient watcher asks for, or every `feed_seconds`."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

PARTITIONS_A_SECOND = 20_000
"""So many rows a second take the service about a quarter of a core: larger clusters are not asked every second."""


class Pace:
    """Seconds between two updates of a node."""

    def __init__(self, feed_seconds: float) -> None:
        self._feed_seconds = feed_seconds
        self._least_seconds = 0.0
        self._watchers: Counter[float] = Counter()
        self._listeners: list[Callable[[], None]] = []

    @property
    def seconds(self) -> float:
        """The interval now."""
        return min(self._feed_seconds, max(self._least_seconds, min(self._watchers, default=self._feed_seconds)))

    def follow(self, partitions: int) -> None:
        """The cluster has so many partitions."""
        before = self.seconds
        self._least_seconds = partitions / PARTITIONS_A_SECOND
        self._tell(before)

    @property
    def watchers(self) -> int:
        """How many watch."""
        return self._watchers.total()

    def on_change(self, listener: Callable[[], None]) -> None:
        """`listener` is called after each change of `seconds`."""
        self._listeners.append(listener)

    @contextmanager
    def at_least(self, seconds: float) -> Iterator[None]:
        """While the block runs, nodes are asked at least this often."""
        before = self.seconds
        self._watchers[seconds] += 1
        self._tell(before)
        try:
            yield
        finally:
            before = self.seconds
            self._watchers[seconds] -= 1
            self._watchers += Counter()  # without those that have gone
            self._tell(before)

    def _tell(self, before: float) -> None:
        if self.seconds != before:
            for listener in self._listeners:
                listener()
