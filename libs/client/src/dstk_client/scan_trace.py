"""The spans of a scan: its own, and one for each stream of pages.

A scan is an asynchronous generator: a current context that it set would be its caller's, too. So it passes the context on by
hand.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import grpc

from dstk_client.events import PagesEnded, ScanEnded
from dstk_client.retries import of_call, reason_of
from dstk_service.observe import Event, Observer
from dstk_service.trace import TRACEPARENT, Span
from dstk_service.transport.credentials import Metadata


class ScanTrace:
    """`span`: that of the scan; None: it is not traced, and the observer is told nothing."""

    def __init__(self, span: Span | None, observer: Observer) -> None:
        self._span, self._observer = span, observer
        self._streams = 0

    @contextmanager
    def scan(self) -> Iterator[None]:
        """The block reads the whole scan."""
        span = self._span
        if span is None:
            yield
        else:
            with self._told(lambda seconds, failure: ScanEnded(span, seconds, self._streams, failure)):
                yield

    @contextmanager
    def stream(self, address: str) -> Iterator[Metadata]:
        """The block reads pages from a node. Yields the metadata of the call."""
        if self._span is None:
            yield ()
            return
        self._streams += 1
        span = Span.under(self._span.context, time.monotonic())
        with self._told(lambda seconds, failure: PagesEnded(address, span, seconds, failure)):
            yield ((TRACEPARENT, span.context.traceparent),)

    @contextmanager
    def _told(self, make: Callable[[float, str], Event]) -> Iterator[None]:
        begun, failure = time.monotonic(), ""
        try:
            yield
        except Exception as error:
            failure = reason_of(of_call(error) if isinstance(error, grpc.aio.AioRpcError) else error)
            raise
        finally:
            self._observer.observe(make(time.monotonic() - begun, failure))
