"""The queue between the event loop and the collector: bounded, emptied by one thread, waited for by nobody."""

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from dstk_telemetry.tracing.finished import FinishedSpan

log = logging.getLogger(__name__)

MOST_QUEUED = 4096
BATCH_SPANS = 512
PAUSE_SECONDS = 1.0
"""How long spans may wait for others, so that they travel together."""

Convert = Callable[[Sequence[FinishedSpan]], Sequence[ReadableSpan]]


class SpanQueue:
    """`put` never waits: a full queue drops the span. The thread is a daemon, so that an exporter which hangs does not keep the
    process alive. OpenTelemetry's own queue does the same, but does not tell how many spans it has dropped.
    """

    def __init__(self, exporter: SpanExporter, convert: Convert, most: int = MOST_QUEUED) -> None:
        self._exporter, self._convert = exporter, convert
        self._queue: queue.Queue[FinishedSpan | None] = queue.Queue(most)
        self._full = self._failed = 0
        self.exported = 0
        self._is_closing = threading.Event()
        self._is_failing = False
        self._thread = threading.Thread(target=self._run, name="dstk-spans", daemon=True)

    def start(self) -> None:
        """Exports from now on."""
        self._thread.start()

    @property
    def dropped(self) -> int:
        """Spans that found the queue full, or that the collector did not take."""
        return self._full + self._failed

    def put(self, span: FinishedSpan) -> None:
        """Queues a span."""
        try:
            self._queue.put_nowait(span)
        except queue.Full:
            self._full += 1

    def close(self, seconds: float) -> None:
        """Exports what is queued, for at most so many seconds. Blocks that long."""
        if not self._thread.is_alive():
            return
        self._is_closing.set()
        with suppress(queue.Full):
            self._queue.put_nowait(None)  # wakes the thread
        self._thread.join(seconds)
        self._exporter.shutdown()

    def _run(self) -> None:
        while not self._is_closing.is_set() or not self._queue.empty():
            if batch := self._next():
                self._export(batch)

    def _next(self) -> list[FinishedSpan]:
        """Waits for a span, and returns it with those that follow soon; at the end, with those that are there."""
        batch = [self._queue.get()]
        until = time.monotonic() + PAUSE_SECONDS
        while len(batch) < BATCH_SPANS:
            left = 0.0 if self._is_closing.is_set() else max(0.0, until - time.monotonic())
            try:
                batch.append(self._queue.get(timeout=left))
            except queue.Empty:
                break
        return [span for span in batch if span is not None]

    def _export(self, batch: Sequence[FinishedSpan]) -> None:
        try:
            is_done = self._exporter.export(self._convert(batch)) is SpanExportResult.SUCCESS
        except Exception:
            log.exception("spans cannot be exported")
            is_done = False
        if is_done:
            self.exported += len(batch)
        else:
            self._failed += len(batch)
        if is_done is self._is_failing:
            self._is_failing = not is_done
            text = "the collector of traces takes spans again" if is_done else "the collector of traces takes no spans"
            log.log(logging.INFO if is_done else logging.WARNING, text)
