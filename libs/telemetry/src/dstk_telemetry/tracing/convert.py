"""Makes OpenTelemetry's spans of finished ones."""

import time
from collections.abc import Mapping, Sequence

from opentelemetry import trace as api
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from typing_extensions import override

from dstk_service.trace import Span, TraceContext
from dstk_telemetry.registry.spans import SpanKind
from dstk_telemetry.tracing.finished import FinishedSpan

_KINDS = {
    SpanKind.CLIENT: api.SpanKind.CLIENT,
    SpanKind.SERVER: api.SpanKind.SERVER,
    SpanKind.INTERNAL: api.SpanKind.INTERNAL,
}


class _Given(IdGenerator):
    """The ids that the next span gets: our contexts have passed them on before the span is made."""

    def __init__(self) -> None:
        self.trace_id = self.span_id = 0

    @override
    def generate_trace_id(self) -> int:
        return self.trace_id

    @override
    def generate_span_id(self) -> int:
        return self.span_id


class _Collecting(SpanProcessor):
    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    @override
    def on_end(self, span: ReadableSpan) -> None:
        self.spans.append(span)


class SpanConverter:
    """Converts spans of one process, which `resource` describes. Used by one thread."""

    def __init__(self, resource: Mapping[str, str]) -> None:
        self._ids, self._collecting = _Given(), _Collecting()
        provider = TracerProvider(
            sampler=ALWAYS_ON,
            resource=Resource.create(dict(resource)),
            id_generator=self._ids,
            shutdown_on_exit=False,
        )
        provider.add_span_processor(self._collecting)
        self._tracer = provider.get_tracer("dstk")

    def __call__(self, spans: Sequence[FinishedSpan]) -> Sequence[ReadableSpan]:
        """OpenTelemetry's spans, in the same order."""
        offset = time.time_ns() - time.monotonic_ns()
        for span in spans:
            self._make(span, offset)
        made, self._collecting.spans = self._collecting.spans, []
        return made

    def _make(self, finished: FinishedSpan, offset: int) -> None:
        """Makes one span. `offset`: of Unix time to the monotonic clock, in nanoseconds."""
        span = finished.span
        self._ids.trace_id = int.from_bytes(span.context.trace_id)
        self._ids.span_id = int.from_bytes(span.context.span_id)
        begun = int(span.begun * 1e9) + offset
        made = self._tracer.start_span(
            finished.type.name,
            _under(span),
            _KINDS[finished.type.kind],
            {attribute.name: value for attribute, value in finished.attributes.items()},
            [api.Link(_context(link)) for link in finished.links],
            begun,
        )
        if finished.is_error:
            made.set_status(api.StatusCode.ERROR)
        made.end(begun + int(finished.seconds * 1e9))


def _context(context: TraceContext) -> api.SpanContext:
    ids = int.from_bytes(context.trace_id), int.from_bytes(context.span_id)
    return api.SpanContext(*ids, is_remote=True, trace_flags=api.TraceFlags(context.sampled))


def _under(span: Span) -> Context:
    """The context of the span's parent; an empty one for the first span of a trace."""
    if span.parent is None:
        return Context()
    parent = TraceContext(span.context.trace_id, span.parent, span.context.sampled)
    return api.set_span_in_context(api.NonRecordingSpan(_context(parent)), Context())
