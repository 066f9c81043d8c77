"""Spans of calls and operations, as a server sees them."""

import grpc

from dstk_service.outcomes import OutcomeClass, outcome_of_code
from dstk_service.rpc_events import OperationsEnded, RpcEnded, TracedOperation
from dstk_telemetry.registry import spans
from dstk_telemetry.tracing.finished import Attributes, Value
from dstk_telemetry.tracing.observer import Makers
from dstk_telemetry.tracing.recorder import SpanRecorder

_NAMES = {code.value[0]: code.name for code in grpc.StatusCode}


def _call(event: RpcEnded, recorder: SpanRecorder) -> None:
    is_error = event.outcome is OutcomeClass.SERVER
    seconds = 0.0 if event.streaming else event.seconds  # a stream is open for as long as its caller likes
    if event.span is None and not recorder.is_notable(spans.SERVER_CALL, seconds, is_error=is_error):
        return
    attributes: Attributes = {spans.METHOD: f"{event.service}/{event.method}", **_outcome(event.code, is_error)}
    recorder.record(spans.SERVER_CALL, event.span, event.seconds, attributes, is_error=is_error)


def _message(event: OperationsEnded, recorder: SpanRecorder) -> None:
    if event.traced is not None:
        for each in event.traced:
            _operation(each, event.seconds, recorder)
    is_error = event.failed is not None and any(outcome is OutcomeClass.SERVER for _, outcome in event.failed)
    if event.traced is None and recorder.is_notable(spans.SERVER_MESSAGE, event.seconds, is_error=is_error):
        attributes: dict[spans.Attribute, Value] = {spans.OPERATIONS: event.gets + event.puts + event.deletes}
        if is_error:
            attributes[spans.ERROR] = OutcomeClass.SERVER
        recorder.record(spans.SERVER_MESSAGE, None, event.seconds, attributes, is_error=is_error)


def _operation(each: TracedOperation, seconds: float, recorder: SpanRecorder) -> None:
    is_error = outcome_of_code(each.code) is OutcomeClass.SERVER
    code = _NAMES.get(each.code, str(each.code))
    attributes: dict[spans.Attribute, Value] = {spans.OPERATION: each.kind, **_outcome(code, is_error)}
    if each.partition is not None:
        attributes[spans.PARTITION] = each.partition
    links = () if each.batch is None else (each.batch,)
    recorder.record(spans.SERVER_OPERATION, each.span, seconds, attributes, links, is_error=is_error)


def _outcome(code: str, is_error: bool) -> Attributes:  # noqa: FBT001 - two facts about one outcome
    return {spans.CODE: code, spans.ERROR: code} if is_error else {spans.CODE: code}


SERVER_SPANS: Makers = {RpcEnded: _call, OperationsEnded: _message}
