"""The figures of the service that are looked up at a scrape."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from dstk_keytypes import NodeId
from dstk_metrics.domain.book import Book, ages
from dstk_metrics.domain.pace import Pace
from dstk_telemetry.metrics.instruments import Instruments, Sample
from dstk_telemetry.registry import feeds

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
