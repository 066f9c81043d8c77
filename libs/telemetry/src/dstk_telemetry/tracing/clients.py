"""Spans of a client: its operations, messages, calls and scans."""

from collections.abc import Mapping
from typing import Final

from dstk_client.events import BatchAnswered, CallAnswered, CallFailed, OperationEnded, PagesEnded, ScanEnded
from dstk_service.error_table import TABLE
from dstk_service.outcomes import OutcomeClass, outcome_of_code
from dstk_service.trace import Span
from dstk_telemetry.registry import spans
from dstk_telemetry.tracing.finished import Attributes, Value
from dstk_telemetry.tracing.observer import Makers
from dstk_telemetry.tracing.recorder import SpanRecorder

SERVICE = "dstk.v1.KeyValue"

_OUTCOMES: Final[Mapping[str, OutcomeClass]] = {
    row.error.reason: outcome_of_code(row.code.value[0]) for row in TABLE
} | {"CLIENT_CLOSED": OutcomeClass.CLIENT}


def is_error(failure: str) -> bool:
    """Whether an error with this reason is anything but its caller's doing. An empty one is none."""
    return bool(failure) and _OUTCOMES.get(failure, OutcomeClass.SERVER) in {OutcomeClass.SERVER, OutcomeClass.REFUSED}


def failed(failure: str) -> Attributes:
    """The attribute of a failure, if there is one."""
    return {spans.ERROR: failure} if failure else {}


def _operation(event: OperationEnded, recorder: SpanRecorder) -> None:
    attributes: dict[spans.Attribute, Value] = {spans.OPERATION: event.operation, **failed(event.failure)}
    failure = is_error(event.failure)
    recorder.record(spans.CLIENT_OPERATION, event.span, event.seconds, attributes, is_error=failure)


def _message(event: BatchAnswered, recorder: SpanRecorder) -> None:
    """Its span is in the trace of its first traced operation. Untraced messages have none."""
    if event.traces:
        attributes: Attributes = {spans.SERVER: event.address, spans.OPERATIONS: event.operations}
        span = Span.under(event.traces[0], recorder.now() - event.seconds)
        recorder.record(spans.CLIENT_MESSAGE, span, event.seconds, attributes, event.traces)


def _answered(event: CallAnswered, recorder: SpanRecorder) -> None:
    attributes: Attributes = {spans.METHOD: f"{SERVICE}/{event.method}", spans.ATTEMPTS: event.attempts}
    recorder.record(spans.CLIENT_CALL, event.span, event.seconds, attributes)


def _failed(event: CallFailed, recorder: SpanRecorder) -> None:
    if event.span is None:
        return
    attributes: Attributes = {
        spans.METHOD: f"{SERVICE}/{event.method}",
        spans.ATTEMPTS: event.attempts,
        spans.ERROR: event.reason,
    }
    seconds = recorder.now() - event.span.begun
    recorder.record(spans.CLIENT_CALL, event.span, seconds, attributes, is_error=is_error(event.reason))


def _pages(event: PagesEnded, recorder: SpanRecorder) -> None:
    attributes: Attributes = {spans.SERVER: event.address, **failed(event.failure)}
    recorder.record(spans.CLIENT_PAGES, event.span, event.seconds, attributes, is_error=is_error(event.failure))


def _scan(event: ScanEnded, recorder: SpanRecorder) -> None:
    attributes: Attributes = {spans.STREAMS: event.streams, **failed(event.failure)}
    recorder.record(spans.CLIENT_SCAN, event.span, event.seconds, attributes, is_error=is_error(event.failure))


CLIENT_SPANS: Makers = {
    OperationEnded: _operation,
    BatchAnswered: _message,
    CallAnswered: _answered,
    CallFailed: _failed,
    PagesEnded: _pages,
    ScanEnded: _scan,
}
