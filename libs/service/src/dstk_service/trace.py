"""Trace contexts: which trace a piece of work belongs to, and how that passes from process to process.

A context is a W3C trace context. Within a process the current one is a context variable, which tasks inherit. Between processes
it is metadata of a call (`outgoing`, `incoming`) or 25 bytes of a message. A context that cannot be read is ignored: tracing
never fails a request.

Nothing here knows a tracing library. Spans are made from events that carry a `Span` (docs/tracing.md).
"""

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from hashlib import blake2b
from typing import NamedTuple, Protocol

from typing_extensions import override

from dstk_service.rate import Rate

TRACEPARENT = "traceparent"
"""The name of the metadata, and of the HTTP header."""

TRACE_ID_BYTES, SPAN_ID_BYTES = 16, 8
CONTEXT_BYTES = TRACE_ID_BYTES + SPAN_ID_BYTES + 1

_SAMPLED = 1
_TEXT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")


class TraceContext(NamedTuple):
    """A span of a trace, as those that it causes know it. Not `sampled`: spans are kept only for errors and slow calls."""

    trace_id: bytes
    span_id: bytes
    sampled: bool

    def child(self, span_id: bytes) -> "TraceContext":
        """The context of a span that this one causes."""
        return TraceContext(self.trace_id, span_id, self.sampled)

    def encoded(self) -> bytes:
        """The context in 25 bytes: trace id, span id, flags."""
        return b"%b%b%c" % (self.trace_id, self.span_id, self.sampled)

    @property
    def traceparent(self) -> str:
        """The context as text, in version 00 of the format."""
        return f"00-{self.trace_id.hex()}-{self.span_id.hex()}-{self.sampled:02x}"


def decoded(data: bytes) -> TraceContext | None:
    """The context in 25 bytes; None for anything else, such as none at all."""
    if len(data) != CONTEXT_BYTES:
        return None
    return _valid(data[:TRACE_ID_BYTES], data[TRACE_ID_BYTES:-1], data[-1])


def parsed(text: str) -> TraceContext | None:
    """The context of a `traceparent`; None for anything else. Of a later version of the format, what version 00 has."""
    match = _TEXT.fullmatch(text)
    if match is None or text.startswith("ff") or (text.startswith("00") and len(text) != match.end(3)):
        return None
    return _valid(bytes.fromhex(match[1]), bytes.fromhex(match[2]), int(match[3], 16))


def _valid(trace_id: bytes, span_id: bytes, flags: int) -> TraceContext | None:
    if not any(trace_id) or not any(span_id):
        return None
    return TraceContext(trace_id, span_id, bool(flags & _SAMPLED))


def derived_id(size: int, *parts: object) -> bytes:
    """An id of `size` bytes made from what names the work, for code that may use no randomness: a simulation repeats it."""
    return blake2b(repr(parts).encode(), digest_size=size).digest()


class Span(NamedTuple):
    """Traced work under way. `parent`: the span that caused it; None: it begins the trace. `begun`: monotonic seconds."""

    context: TraceContext
    parent: bytes | None
    begun: float

    @classmethod
    def under(cls, parent: TraceContext, begun: float, span_id: bytes | None = None) -> "Span":
        """A span that `parent` causes, with a random id unless one is given."""
        return cls(parent.child(span_id or os.urandom(SPAN_ID_BYTES)), parent.span_id, begun)

    @classmethod
    def root(cls, begun: float) -> "Span":
        """The first span of a new, sampled trace."""
        return cls(TraceContext(os.urandom(TRACE_ID_BYTES), os.urandom(SPAN_ID_BYTES), sampled=True), None, begun)


MOST_FOLLOWED_A_SECOND = 250
"""A traced put makes four spans on its primary, and a span takes 0.1 ms of Python until it is sent. By this
calculation, callers that ask for a trace of everything take a tenth of the processor; no node was flooded to measure it.
"""


class Sampler(Protocol):
    """Decides which calls without a context begin a trace, and which operations with one are followed."""

    def pick(self, calls: int = 1) -> int | None:
        """Of so many calls at once, the number of the one that begins a trace, counted from 0; None: none of them does."""

    def follows(self, context: TraceContext) -> bool:
        """Whether an operation is part of the trace that its caller names: callers can name one for each operation."""


class Following:
    """Admits MOST_FOLLOWED_A_SECOND sampled contexts, and as many others: the latter take no room of traces that are kept."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic, most: int = MOST_FOLLOWED_A_SECOND) -> None:
        self._sampled, self._others = Rate(most, monotonic), Rate(most, monotonic)

    def admits(self, context: TraceContext) -> bool:
        """Whether there is room to follow this one; it counts then."""
        return (self._sampled if context.sampled else self._others).admits()


class NeverSampler(Sampler):
    """Begins no trace."""

    def __init__(self) -> None:
        self._following = Following()

    @override
    def follows(self, context: TraceContext) -> bool:
        return self._following.admits(context)

    @override
    def pick(self, calls: int = 1) -> int | None:
        return None


NEVER: Sampler = NeverSampler()
"""The default of everything that takes a sampler."""


_current: ContextVar[TraceContext | None] = ContextVar("dstk_trace", default=None)


def current_trace() -> TraceContext | None:
    """The context of the work at hand; None: it is not traced."""
    return _current.get()


@contextmanager
def within(context: TraceContext | None) -> Iterator[None]:
    """Makes a context the current one during the block. None: leaves the current one as it is."""
    if context is None:
        yield
        return
    token = _current.set(context)
    try:
        yield
    finally:
        _current.reset(token)


def begin(sampler: Sampler = NEVER, begun: float | None = None) -> Span | None:
    """The span of a call that begins now, at `begun` (monotonic seconds; None: asks the clock): under the current context, or
    as a new trace if `sampler` picks it; None: the call is not traced.
    """
    parent = _current.get()
    if parent is None and sampler.pick() is None:
        return None
    begun = time.monotonic() if begun is None else begun
    return Span.root(begun) if parent is None else Span.under(parent, begun)


def outgoing() -> tuple[tuple[str, str], ...]:
    """The metadata with which a call passes the current context on; empty where there is none."""
    context = _current.get()
    return () if context is None else ((TRACEPARENT, context.traceparent),)


def incoming(metadata: Mapping[str, object]) -> TraceContext | None:
    """The context that came with a call, or with the headers of an HTTP request."""
    text = metadata.get(TRACEPARENT)
    return parsed(text) if isinstance(text, str) else None
