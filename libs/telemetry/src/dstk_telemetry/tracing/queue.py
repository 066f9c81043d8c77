"""The queue between the event loop and the collector: bounded, emptied by one thread, waited for by nobody."""

import logging
import queue
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

from dstk_telemetry.tracing.finished import FinishedSpan

log = logging.getLogger(__name__)

MOST_QUEUED = 4096
BATCH_SPANS = 512
PAUSE_SECONDS = 1.0
"""How long spans may wait for others, so that they travel together."""


class Exporter(Protocol):
    """Used by the thread of the queue alone, but for `close`."""

    def export(self, spans: Sequence[FinishedSpan]) -> bool:
        """Sends spans, and returns whether they were taken. Takes a few seconds at most."""

    def close(self) -> None:
        """Ends an export under way."""


class SpanQueue:
    """`put` never waits: a full queue drops the span. The thread is a daemon, so that an exporter which hangs does not keep the
    process alive. OpenTelemetry's own queue does the same, but does not say how many spans it has dropped.
    """

    def __init__(self, exporter: Exporter, most: int = MOST_QUEUED) -> None:
        self._exporter = exporter
        self._queue: queue.Queue[FinishedSpan | None] = queue.Queue(most)
        self.exported = 0
        self._overflowed = self._refused = 0  # two numbers: each is written by one thread alone
        self._is_closing = threading.Event()
        self._is_failing = False
        self._thread = threading.Thread(target=self._run, name="dstk-spans", daemon=True)

    @property
    def dropped(self) -> int:
        """Spans that found the queue full, or that the collector did not take."""
        return self._overflowed + self._refused

    def start(self) -> None:
        """Exports from now on."""
        self._thread.start()

    def put(self, span: FinishedSpan) -> None:
        """Queues a span."""
        try:
            self._queue.put_nowait(span)
        except queue.Full:
            self._overflowed += 1

    def close(self, seconds: float) -> None:
        """Exports what is queued, for at most so many seconds. Blocks that long."""
        if not self._thread.is_alive():
            return
        self._is_closing.set()
        with suppress(queue.Full):
            self._queue.put_nowait(None)  # wakes the thread
        self._thread.join(seconds)
        self._exporter.close()

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
            is_done = self._exporter.export(batch)
        except Exception:
            log.exception("spans cannot be exported")
            is_done = False
        if is_done:
            self.exported += len(batch)
        else:
            self._refused += len(batch)
        if is_done is self._is_failing:
            self._is_failing = not is_done
            text = "the collector of traces takes spans again" if is_done else "the collector of traces takes no spans"
            log.log(logging.INFO if is_done else logging.WARNING, text)
