"""Spans of the metrics service: the ranges that it has nodes measure."""

from dstk_metrics.events import RangeMeasured
from dstk_telemetry.registry import spans
from dstk_telemetry.tracing.finished import Value
from dstk_telemetry.tracing.observer import Makers
from dstk_telemetry.tracing.recorder import SpanRecorder


def _measured(event: RangeMeasured, recorder: SpanRecorder) -> None:
    if event.span is None:
        return
    attributes: dict[spans.Attribute, Value] = {
        spans.PARTITION: event.partition,
        spans.PEER: event.node,
        spans.EXAMINED: event.records,
        **({spans.ERROR: event.failure} if event.failure else {}),
    }
    recorder.record(spans.MEASURE, event.span, event.seconds, attributes, is_error=bool(event.failure))


METRICS_SPANS: Makers = {RangeMeasured: _measured}
