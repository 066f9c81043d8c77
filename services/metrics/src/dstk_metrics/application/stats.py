"""Lists of partitions, and the cluster's totals as a stream."""

from collections.abc import AsyncGenerator

from dstk.v1 import metrics_pb2
from dstk_metrics.application.rows import messages, write_failures
from dstk_metrics.domain.book import Book
from dstk_metrics.domain.figures import Figure
from dstk_metrics.domain.listing import Wanted, listed
from dstk_metrics.domain.pace import Pace
from dstk_metrics.domain.report import State
from dstk_metrics.domain.totals import Totals, totals
from dstk_service import metrics_requests
from dstk_service.clock import Clock
from dstk_service.errors import NotServing

STALE_INTERVALS = 3
"""Figures older than so many intervals of the feed are stale."""
LISTED = 100
DEFAULT_INTERVAL_MS = 10_000
SHARED_SECONDS = 0.2
"""Watchers whose messages are due within so many seconds share one computation."""
_RETRY_SECONDS = 0.5


def check_map(book: Book) -> None:
    """Raises NotServing until the book has a map."""
    if not len(book.layout):
        raise NotServing("this service has not read the partition map yet", _RETRY_SECONDS)


class PartitionLists:
    """Answers ListPartitionStats. `stale_after_s`: age from which on figures are stale."""

    def __init__(self, book: Book, clock: Clock, stale_after_s: float) -> None:
        self._book, self._clock, self._stale_after_s = book, clock, stale_after_s

    def answer(self, request: metrics_pb2.ListPartitionStatsRequest) -> metrics_pb2.ListPartitionStatsResponse:
        """One page. Raises InvalidArgument, NotServing."""
        metrics_requests.partition_stats(request)
        check_map(self._book)
        page = listed(self._book, _wanted(request))
        rows = messages(self._book, page.slots, self._clock.monotonic(), self._stale_after_s)
        return metrics_pb2.ListPartitionStatsResponse(partitions=rows, total=page.total, at_ms=self._clock.now_ms())


def _wanted(request: metrics_pb2.ListPartitionStatsRequest) -> Wanted:
    by = Figure(request.sort_by) if request.sort_by else None
    return Wanted(request.start, request.end, by, request.reverse, request.offset, request.limit or LISTED)


class TotalsStreams:
    """Answers WatchStats. All watchers share what is computed for one of them."""

    def __init__(self, book: Book, clock: Clock, pace: Pace, stale_after_s: float) -> None:
        self._book, self._clock, self._pace, self._stale_after_s = book, clock, pace, stale_after_s
        self._made: metrics_pb2.ClusterStats | None = None
        self._made_at = 0.0

    async def answers(self, request: metrics_pb2.WatchStatsRequest) -> AsyncGenerator[metrics_pb2.ClusterStats, None]:
        """The totals now, and then at each interval. Raises InvalidArgument, NotServing."""
        metrics_requests.watch(request)
        check_map(self._book)
        seconds = (request.interval_ms or DEFAULT_INTERVAL_MS) / 1000
        with self._pace.at_least(seconds):
            while True:
                yield self.current()
                await self._clock.sleep(seconds)

    def current(self) -> metrics_pb2.ClusterStats:
        """The totals, at most SHARED_SECONDS old. Callers share the message, and do not change it."""
        now = self._clock.monotonic()
        if self._made is None or now - self._made_at > SHARED_SECONDS:
            self._made = _message(totals(self._book, now, self._stale_after_s), self._clock.now_ms())
            self._made_at = now
        return self._made


def _message(found: Totals, now_ms: int) -> metrics_pb2.ClusterStats:
    state = found.state.tolist()
    reads, writes, scanned, read_bytes, written_bytes, *failed, busy, _, _ = found.rates.tolist()
    message = metrics_pb2.ClusterStats(
        at_ms=now_ms,
        reads=reads,
        writes=writes,
        scanned=scanned,
        read_bytes=read_bytes,
        written_bytes=written_bytes,
        time=busy,
        read_latency=metrics_pb2.Latency(p50_s=found.read[0], p99_s=found.read[1]),
        write_latency=metrics_pb2.Latency(p50_s=found.write[0], p99_s=found.write[1]),
        records=int(state[State.RECORDS]),
        records_error=int(state[State.RECORDS_ERROR]),
        bytes=int(state[State.BYTES]),
        bytes_error=int(state[State.BYTES_ERROR]),
        partitions=found.partitions,
        serving_partitions=found.serving,
        stale_partitions=found.stale,
        uncounted_partitions=found.uncounted,
        replicas=found.replicas,
        in_sync_replicas=found.in_sync,
        nodes=found.nodes,
        reporting_nodes=found.reporting,
        free_bytes=found.free_bytes,
        capacity_bytes=found.capacity_bytes,
        lag_entries=int(state[State.LAG_ENTRIES]),
    )
    write_failures(message.failures, failed)
    return message
