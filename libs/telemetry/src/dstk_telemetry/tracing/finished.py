"""A finished span as a plain value, before OpenTelemetry knows of it."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from dstk_service.trace import Span, TraceContext
from dstk_telemetry.registry.spans import Attribute, SpanType

Value = str | int | float | bool
Attributes = Mapping[Attribute, Value]


class FinishedSpan(NamedTuple):
    """`seconds`: how long it took. `is_error`: something failed that is not its caller's doing."""

    type: SpanType
    span: Span
    seconds: float
    attributes: Attributes
    links: Sequence[TraceContext] = ()
    is_error: bool = False
