"""The traces of what nodes send each other: spans of the sender and of the receiver.

An entry of the log goes to several followers, and each sending has a span of its own (peer_wire.sent_context).
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from dstk_keytypes import NodeId
from dstk_service.observe import Observer
from dstk_service.trace import Span, begin, outgoing, within
from dstk_service.transport.credentials import Metadata
from dstk_storage.adapters.peer_events import EntryReceived, EntrySent, PeerCalled
from dstk_storage.adapters.peer_wire import sent_context
from dstk_storage.domain.replication.ports import Append, Appended


@contextmanager
def sending(observer: Observer, node: NodeId, appends: Sequence[Append]) -> Iterator[None]:
    """The block sends entries to a follower and waits for the answers."""
    traced = [(append.partition, e.trace) for append in appends for e in append.entries if e.trace is not None]
    if not traced:
        yield
        return
    begun, failure = time.monotonic(), ""
    try:
        yield
    except BaseException as error:
        failure = type(error).__name__
        raise
    finally:
        seconds = time.monotonic() - begun
        for partition, context in traced:
            span = Span(sent_context(context, node), context.span_id, begun)
            observer.observe(EntrySent(span, node, partition, seconds, failure))


Done = Callable[[asyncio.Task[Sequence[Appended]]], None]


def receiving(observer: Observer, appends: Sequence[Append]) -> Done | None:
    """Begins the spans of entries that were just read, which become the contexts of these entries. The result is to be called
    when the work is done; None: no entry is traced.
    """
    begun, spans = time.monotonic(), []
    for append in appends:
        for entry in append.entries:
            if entry.trace is not None:
                span = Span.under(entry.trace, begun)
                entry.trace = span.context
                spans.append((append.partition, span))
    return (lambda work: _received(observer, spans, work)) if spans else None


def _received(observer: Observer, spans: Sequence[tuple[Any, Span]], work: asyncio.Task[Sequence[Appended]]) -> None:
    now = time.monotonic()
    answers = () if work.cancelled() or work.exception() is not None else work.result()
    accepted = {answer.partition for answer in answers if answer.accepted}
    for partition, span in spans:
        failure = "" if partition in accepted else "NotAccepted"
        observer.observe(EntryReceived(span, partition, now - span.begun, failure))


@contextmanager
def calling(observer: Observer, node: NodeId, method: str) -> Iterator[Metadata]:
    """The block calls another node. Yields the metadata of the call."""
    span = begin()
    if span is None:
        yield ()
        return
    failure = ""
    try:
        with within(span.context):
            yield outgoing()
    except BaseException as error:
        failure = type(error).__name__
        raise
    finally:
        seconds = time.monotonic() - span.begun
        observer.observe(PeerCalled(span, node, method, seconds, failure))
