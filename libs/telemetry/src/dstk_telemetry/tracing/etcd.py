"""Spans of requests to etcd."""

from dstk_cluster.coordinator_events import RequestEnded
from dstk_telemetry.registry import spans
from dstk_telemetry.tracing.finished import Value
from dstk_telemetry.tracing.observer import Makers
from dstk_telemetry.tracing.recorder import SpanRecorder


def _request(event: RequestEnded, recorder: SpanRecorder) -> None:
    """Untraced requests have no span, even if they fail: leases are renewed every second, and etcd may be away for hours."""
    if event.span is not None:
        attributes: dict[spans.Attribute, Value] = {spans.REQUEST: event.request}
        if event.failed:
            attributes[spans.ERROR] = "unavailable"
        recorder.record(spans.ETCD, event.span, event.seconds, attributes, is_error=event.failed)


ETCD_SPANS: Makers = {RequestEnded: _request}
