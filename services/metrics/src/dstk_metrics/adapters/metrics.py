"""The observer that turns what the service tells into metrics."""

from typing_extensions import override

from dstk_metrics.domain.report import Refusal
from dstk_metrics.events import FeedBroke, FeedTaken, RangeMeasured, RowsRefused
from dstk_service.observe import Event, Observer
from dstk_telemetry.metrics.instruments import Instruments
from dstk_telemetry.registry import feeds


class FeedMetrics(Observer):
    """Counts what the feeds of nodes bring."""

    def __init__(self, instruments: Instruments) -> None:
        self._updates, self._rows = instruments.counter(feeds.UPDATES), instruments.counter(feeds.ROWS)
        self._taking, self._breaks = instruments.counter(feeds.TAKING), instruments.counter(feeds.BREAKS)
        self._refused = {each: instruments.counter(feeds.REFUSED, each.name.lower()) for each in Refusal}

    @override
    def observe(self, event: Event) -> None:
        match event:
            case FeedTaken(rows=rows, seconds=seconds):
                self._updates.inc()
                self._rows.inc(rows)
                self._taking.inc(seconds)
            case RowsRefused(reason=reason, rows=rows):
                self._refused[reason].inc(rows)
            case FeedBroke():
                self._breaks.inc()


class MeasureMetrics(Observer):
    """Counts and times the ranges that nodes measure."""

    def __init__(self, instruments: Instruments) -> None:
        self._ended = {end: instruments.counter(feeds.MEASURED, end) for end in feeds.RESULT.values}
        self._records = instruments.counter(feeds.MEASURED_RECORDS)
        self._seconds = instruments.histogram(feeds.MEASURE_SECONDS)

    @override
    def observe(self, event: Event) -> None:
        if isinstance(event, RangeMeasured):
            self._ended["failed" if event.failure else "ok"].inc()
            self._records.inc(event.records)
            self._seconds.observe(event.seconds, event.span.context if event.span else None)
