"""The figures of the service that are looked up at a scrape."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from dstk_keytypes import NodeId
from dstk_metrics.application.recorder import HistoryCounters
from dstk_metrics.console.figures import ConsoleFigures
from dstk_metrics.domain.book import Book, ages
from dstk_metrics.domain.pace import Pace
from dstk_telemetry.metrics.instruments import Instruments, Sample
from dstk_telemetry.registry import feeds, history

Connected = Callable[[], Mapping[NodeId, bool]]
"""The nodes that are registered, and whether the stream of each is open."""


class FeedGauges:
    """What is known, and how old it is. `stale_after_s`: age from which on figures are stale."""

    def __init__(
        self,
        instruments: Instruments,
        book: Book,
        connected: Connected,
        monotonic: Callable[[], float],
        stale_after_s: float,
    ) -> None:
        self._book, self._connected = book, connected
        self._monotonic, self._stale_after_s = monotonic, stale_after_s
        self._known: dict[str, float] = {}
        """When each node was first known."""
        instruments.read(self._nodes)
        instruments.read(self._partitions)

    def _nodes(self) -> Iterator[Sample]:
        now, connected = self._monotonic(), {str(node): is_open for node, is_open in self._connected().items()}
        self._known = {node: self._known.get(node, now) for node in self._book.nodes}
        for node, known in self._known.items():
            teller = self._book.tellers.get(node)
            silence = now - max(known, teller.heard_at if teller else known)
            yield feeds.SILENCE, (node,), silence
            yield feeds.SILENT, (node,), float(node in connected and silence > self._stale_after_s)
            yield feeds.CONNECTED, (node,), float(connected.get(node, False))

    def _partitions(self) -> Iterator[Sample]:
        age = ages(self._book.columns, self._book.layout.order, self._monotonic())
        unknown, fresh = int(np.isinf(age).sum()), int((age <= self._stale_after_s).sum())
        yield feeds.KNOWN, ("fresh",), fresh
        yield feeds.KNOWN, ("stale",), len(age) - fresh - unknown
        yield feeds.KNOWN, ("unknown",), unknown


def read_watchers(instruments: Instruments, pace: Pace) -> None:
    """Exports how many watch the cluster's totals."""
    instruments.read(lambda: [(feeds.WATCHERS, (), float(pace.watchers))])


def read_history(
    instruments: Instruments, counters: HistoryCounters, limit_bytes: int, now_ms: Callable[[], int]
) -> None:
    """Exports how the history stands. `limit_bytes`: that it may take."""
    began_ms = now_ms()

    def read() -> Iterator[Sample]:
        for tier, slots in zip(history.TIER.values, counters.slots, strict=True):
            yield history.SLOTS, (tier,), slots
        yield history.SIZE, (), counters.bytes_on_disk
        yield history.LIMIT, (), limit_bytes
        yield history.AGE, (), max(0, now_ms() - (counters.newest_ms or began_ms)) / 1000
        yield history.WRITTEN, (), counters.minutes_written
        yield history.WRITE_FAILURES, (), counters.write_failures
        yield history.WAITING, (), counters.minutes_waiting
        yield history.LOST, (), counters.minutes_lost
        yield history.DAMAGED, (), counters.slots_damaged
        yield history.MOVED_ASIDE, (), counters.files_moved_aside

    instruments.read(read)


def read_console(instruments: Instruments, figures: ConsoleFigures, connections: Callable[[], int]) -> None:
    """Exports what the console does. Without a console there is nothing to read."""

    def read() -> Iterator[Sample]:
        yield history.CONNECTIONS, (), connections()
        for (route, status), count in figures.requests.items():
            yield history.REQUESTS, (route, str(status)), count
        yield history.EVENTS_SENT, (), figures.events_sent
        yield history.EVENTS_DROPPED, (), figures.events_dropped

    instruments.read(read)
