"""Which finished spans are kept.

    sampled                  kept
    not sampled, notable     kept, with the spans of its trace that this process has made lately and makes from now on
    not sampled              waits for a notable span of its trace, for WAIT_SECONDS
    without a context        kept if notable, as a trace of its own

Notable are errors of the server, and slow calls. A process keeps at most MOST_SPANS_A_SECOND, so that an outage in which every
call fails does not become one of the processor. What is over that is counted as dropped.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from dstk_service.rate import Rate
from dstk_service.trace import Span, TraceContext
from dstk_telemetry.registry.spans import SpanType
from dstk_telemetry.tracing.finished import Attributes, FinishedSpan

MOST_SPANS_A_SECOND = 1000
WAIT_SECONDS = 10.0
MOST_WAITING, MOST_SPANS_OF_ONE, MOST_KEPT = 500, 50, 500
"""Unsampled traces of which spans wait, spans of one of them, and unsampled traces that are kept from now on."""


@dataclass(slots=True)
class _Waiting:
    """The spans of one unsampled trace."""

    since: float
    spans: list[FinishedSpan] = field(default_factory=list)


class SpanRecorder:
    """Passes the spans that are kept on to `keep`. `slow`: seconds from which on a call is slow."""

    def __init__(
        self,
        keep: Callable[[FinishedSpan], None],
        slow: float,
        monotonic: Callable[[], float] = time.monotonic,
        most: int = MOST_SPANS_A_SECOND,
    ) -> None:
        self._keep, self._slow = keep, slow
        self._monotonic, self._rate = monotonic, Rate(most, monotonic)
        self._waiting: OrderedDict[bytes, _Waiting] = OrderedDict()
        self._kept: OrderedDict[bytes, None] = OrderedDict()
        self.dropped = 0
        """Spans over MOST_SPANS_A_SECOND."""

    def now(self) -> float:
        """The time, in monotonic seconds."""
        return self._monotonic()

    def is_notable(self, kind: SpanType, seconds: float, *, is_error: bool) -> bool:
        """Whether a span is kept in any case."""
        return is_error or (kind.is_call and seconds >= self._slow)

    def record(
        self,
        kind: SpanType,
        span: Span | None,
        seconds: float,
        attributes: Attributes,
        links: Sequence[TraceContext] = (),
        *,
        is_error: bool = False,
    ) -> None:
        """Takes a span that has just ended, after so many seconds. `span` None: the work was not traced. A link to its parent
        is left out: Jaeger would show a span that follows another one, and none that it caused.
        """
        is_notable = self.is_notable(kind, seconds, is_error=is_error)
        if span is None:
            if not is_notable:
                return
            span = Span.root(self._monotonic() - seconds)
        others = [link for link in links if link.span_id != span.parent]
        finished = FinishedSpan(kind, span, seconds, attributes, others, is_error)
        if span.context.sampled:
            self._emit(finished)
        else:
            self._consider(finished, span.context.trace_id, is_notable=is_notable)

    def _consider(self, finished: FinishedSpan, trace_id: bytes, *, is_notable: bool) -> None:
        """Keeps a span of an unsampled trace, or lets it wait."""
        if is_notable and trace_id not in self._kept:
            self._kept[trace_id] = None
            if len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
            for earlier in self._waiting.pop(trace_id, _Waiting(0.0)).spans:
                self._emit(earlier)
        if trace_id in self._kept:
            self._emit(finished)
        else:
            self._wait(finished, trace_id)

    def _wait(self, finished: FinishedSpan, trace_id: bytes) -> None:
        now = self._monotonic()
        waiting = self._waiting.setdefault(trace_id, _Waiting(now))
        if len(waiting.spans) < MOST_SPANS_OF_ONE:
            waiting.spans.append(finished)
        while self._waiting and (len(self._waiting) > MOST_WAITING or self._oldest() < now - WAIT_SECONDS):
            self._waiting.popitem(last=False)

    def _oldest(self) -> float:
        return next(iter(self._waiting.values())).since

    def _emit(self, finished: FinishedSpan) -> None:
        if self._rate.admits():
            self._keep(finished)
        else:
            self.dropped += 1
