"""Joins the messages of a node's stream into reports."""

from collections import Counter
from collections.abc import Mapping

from dstk.v1 import statistics_pb2
from dstk_metrics.adapters.updates import UpdateRefused, check_head, disk_of, rows_of
from dstk_metrics.domain.report import Refusal, Report, Rows, joined

MAX_ROWS = 1_000_000
"""The most partitions of one update."""

Update = statistics_pb2.StatisticsUpdate


class UpdateReader:
    """Reads the streams of one node, one after the other. `session`, `version`: of the last whole update; "" and 0: none."""

    def __init__(self) -> None:
        self.session, self.version = "", 0
        self._bounds: tuple[float, ...] = ()
        self._head: Update | None = None
        self._parts: list[Rows] = []
        self._refused: Counter[Refusal] = Counter()

    def begin_stream(self) -> None:
        """A new stream: what the last one left unfinished does not count."""
        self._head = None

    def forget(self) -> None:
        """The next stream begins without a session."""
        self.session, self.version = "", 0

    def add(self, message: Update) -> tuple[Report, Mapping[Refusal, int]] | None:
        """Takes the next message. Returns the report that it completes and how many of its rows are refused, by reason; None
        when it goes on in another message. Raises UpdateRefused.
        """
        if self._head is None:
            self._begin(message)
        elif (message.session, message.version) != (self._head.session, self._head.version):
            raise UpdateRefused(f"version {message.version} comes within version {self._head.version}")
        rows, refused = rows_of(message.partitions, len(self._bounds) + 1)
        self._parts.append(rows)
        self._refused.update(refused)
        if sum(map(len, self._parts)) > MAX_ROWS:
            raise UpdateRefused(f"it has more than {MAX_ROWS} partitions")
        return None if message.more else self._end()

    def _begin(self, head: Update) -> None:
        check_head(head)
        if head.complete:
            self._bounds = tuple(head.latency_bounds_s)
        elif head.session != self.session:
            raise UpdateRefused("it goes on from an update that never came")
        elif head.version <= self.version:
            raise UpdateRefused(f"version {head.version} comes after version {self.version}")
        self._head, self._parts, self._refused = head, [], Counter()

    def _end(self) -> tuple[Report, Mapping[Refusal, int]]:
        head, self._head = self._head, None
        assert head is not None
        rows, removed = joined(self._parts), tuple(head.removed_partitions)
        self._parts = []  # they refer to the messages, which are large
        self.session, self.version = head.session, head.version
        return Report(
            head.session, head.version, head.complete, head.uptime_s, self._bounds, disk_of(head), removed, rows
        ), self._refused
