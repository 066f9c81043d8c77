"""The way of spans to a collector, which takes them, hangs, refuses or fails."""

import gzip
import threading
import time
from collections.abc import Iterator, Sequence

import pytest
from kit.endpoints import HttpEndpoint
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from dstk_service.observe import Event
from dstk_service.outcomes import OutcomeClass
from dstk_service.rpc_events import OperationKind, OperationsEnded, RpcEnded, TracedOperation
from dstk_service.testing import eventually
from dstk_service.trace import NEVER, Span, TraceContext
from dstk_telemetry.registry import spans
from dstk_telemetry.tracing.finished import FinishedSpan
from dstk_telemetry.tracing.otlp import OtelExporter
from dstk_telemetry.tracing.queue import MOST_QUEUED, Exporter, SpanQueue
from dstk_telemetry.tracing.servers import SERVER_SPANS
from dstk_telemetry.tracing.tracing import TraceSettings, Tracing

PARENT = TraceContext(b"t" * 16, b"p" * 8, sampled=True)
OTHER = TraceContext(b"o" * 16, b"q" * 8, sampled=True)
KV = "dstk.v1.KeyValue"


@pytest.fixture
def endpoint() -> Iterator[HttpEndpoint]:
    with HttpEndpoint() as made:
        yield made


def finished(number: int = 0) -> FinishedSpan:
    span = Span(PARENT.child(number.to_bytes(8)), PARENT.span_id, time.monotonic())
    return FinishedSpan(spans.SERVER_CALL, span, 0.1, {spans.METHOD: f"{KV}/Get"})


def call(
    span: Span | None, code: str = "OK", outcome: OutcomeClass = OutcomeClass.OK, seconds: float = 0.25
) -> RpcEnded:
    return RpcEnded(KV, "Get", code, outcome, seconds, False, 1, 1, span)


async def exported(*events: Event) -> tuple[ReadableSpan, ...]:
    """The spans that a server's events become."""
    memory = InMemorySpanExporter()
    part = Tracing(
        TraceSettings(),
        {"service.name": "dstk-test"},
        SERVER_SPANS,
        exporter=OtelExporter(memory, {"service.name": "dstk-test"}),
    )
    await part.start(lambda loop: pytest.fail(f"{loop} runs on the event loop"))
    for event in events:
        for observer in part.observers:
            observer.observe(event)
    await part.close()
    return memory.get_finished_spans()


async def test_a_span_keeps_ids_parent_times_and_attributes() -> None:
    begun = time.monotonic()
    (span,) = await exported(call(Span(PARENT.child(b"s" * 8), PARENT.span_id, begun)))
    assert (span.name, span.kind.name) == ("dstk.server.call", "SERVER")
    assert span.context is not None
    assert span.parent is not None
    assert span.context.trace_id == span.parent.trace_id == int.from_bytes(PARENT.trace_id)
    assert (span.context.span_id, span.parent.span_id) == (int.from_bytes(b"s" * 8), int.from_bytes(b"p" * 8))
    assert span.start_time is not None
    assert span.end_time is not None
    assert (span.end_time - span.start_time) / 1e9 == pytest.approx(0.25)
    assert span.start_time / 1e9 == pytest.approx(time.time() - (time.monotonic() - begun), abs=0.1)
    assert dict(span.attributes or {}) == {"rpc.method": f"{KV}/Get", "rpc.response.status_code": "OK"}
    assert span.resource.attributes["service.name"] == "dstk-test"
    assert span.status.is_unset


async def test_the_first_span_of_a_trace_has_no_parent() -> None:
    (span,) = await exported(call(Span(PARENT, None, 1.0), "INTERNAL", OutcomeClass.SERVER))
    assert span.parent is None
    assert not span.status.is_ok
    assert span.attributes is not None
    assert span.attributes["error.type"] == "INTERNAL"


async def test_a_write_links_to_its_batch() -> None:
    traced = TracedOperation(0, OperationKind.PUT, Span(PARENT, None, 1.0), partition=None, batch=OTHER)
    (span,) = await exported(OperationsEnded(1.0, puts=1, traced=[traced], seconds=0.1))
    assert [link.context.span_id for link in span.links] == [int.from_bytes(OTHER.span_id)]
    assert span.name == "dstk.server.operation"


async def test_untraced_calls_and_messages_are_kept_if_they_fail_or_are_slow() -> None:
    failed = {(OperationKind.PUT, OutcomeClass.SERVER): 1}
    kept = await exported(
        call(None),
        call(None, "ABORTED", OutcomeClass.CLIENT),
        call(None, "UNKNOWN", OutcomeClass.SERVER),
        call(None, seconds=2.0),
        OperationsEnded(1.0, gets=3),
        OperationsEnded(1.0, puts=1, failed={(OperationKind.PUT, OutcomeClass.REFUSED): 1}),
        OperationsEnded(1.0, puts=3, failed=failed),
        OperationsEnded(1.0, gets=5, seconds=1.5),
    )
    assert [span.name for span in kept] == ["dstk.server.call"] * 2 + ["dstk.server.message"] * 2
    assert [(span.attributes or {}).get("db.operation.batch.size") for span in kept[2:]] == [3, 5]


async def test_off_it_is_nothing() -> None:
    part = Tracing(TraceSettings(), {}, SERVER_SPANS)
    assert (part.sampler, part.observers) == (NEVER, ())
    await part.close()


async def test_a_collector_gets_spans_by_otlp(endpoint: HttpEndpoint) -> None:
    part = Tracing(TraceSettings(f"http://{endpoint.address}"), {"service.name": "dstk-test"}, SERVER_SPANS)
    await part.start(lambda _: pytest.fail("nothing runs on the event loop"))
    part.observers[0].observe(call(Span(PARENT.child(b"s" * 8), PARENT.span_id, time.monotonic())))
    await part.close()
    (body,) = endpoint.bodies
    request = ExportTraceServiceRequest.FromString(gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body)
    (span,) = [span for each in request.resource_spans for scope in each.scope_spans for span in scope.spans]
    assert (span.trace_id, span.parent_span_id) == (PARENT.trace_id, PARENT.span_id)


@pytest.mark.parametrize("behaviour", ["hang", "refuse", "fail"])
async def test_drops_of_a_collector_in_trouble_are_counted_until_it_takes_spans_again(
    endpoint: HttpEndpoint, behaviour: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dstk_telemetry.tracing.otlp.EXPORT_SECONDS", 0.5)
    monkeypatch.setattr("dstk_telemetry.tracing.queue.PAUSE_SECONDS", 0.05)
    endpoint.behaviour = behaviour
    settings = TraceSettings(f"http://{endpoint.address}", ratio=1.0)
    part = Tracing(settings, {}, SERVER_SPANS)
    await part.start(lambda _: pytest.fail("nothing runs on the event loop"))
    for _ in range(900):
        part.observers[0].observe(call(Span.root(time.monotonic())))
    await eventually(lambda: part.dropped == 900)
    endpoint.behaviour = "take"
    part.observers[0].observe(call(Span.root(time.monotonic())))
    await eventually(lambda: endpoint.bodies)
    await part.close()


async def test_a_collector_that_hangs_holds_up_neither_calls_nor_the_end(
    endpoint: HttpEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dstk_telemetry.tracing.otlp.EXPORT_SECONDS", 40.0)
    endpoint.behaviour = "hang"
    part = Tracing(TraceSettings(f"http://{endpoint.address}"), {}, SERVER_SPANS)
    await part.start(lambda _: pytest.fail("nothing runs on the event loop"))
    part.observers[0].observe(call(Span.root(time.monotonic())))
    await eventually(lambda: endpoint.requests)
    begun = time.monotonic()
    for _ in range(900):
        part.observers[0].observe(call(Span.root(begun)))
    await part.close()
    assert time.monotonic() - begun < 20


class Gate(Exporter):
    """Takes spans once it is opened."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.taken = 0

    def export(self, spans: Sequence[FinishedSpan]) -> bool:
        self.opened.wait()
        self.taken += len(spans)
        return True

    def close(self) -> None:
        pass


async def test_the_queue_is_bounded_and_counts_what_it_drops() -> None:
    exporter = Gate()
    queue = SpanQueue(exporter)
    queue.start()
    for number in range(3 * MOST_QUEUED):
        queue.put(finished(number))
    dropped = queue.dropped
    assert MOST_QUEUED <= dropped <= 2 * MOST_QUEUED
    exporter.opened.set()
    queue.close(10)
    assert exporter.taken == queue.exported == 3 * MOST_QUEUED - dropped


async def test_a_hanging_exporter_does_not_hold_up_the_end() -> None:
    exporter = Gate()
    queue = SpanQueue(exporter)
    queue.start()
    for number in range(2 * MOST_QUEUED):
        queue.put(finished(number))
    begun = time.monotonic()
    queue.close(0.2)
    assert time.monotonic() - begun < 1
    exporter.opened.set()


async def test_an_exporter_that_raises_is_tried_again() -> None:
    class Raising(Gate):
        def export(self, spans: Sequence[FinishedSpan]) -> bool:
            if not self.taken:
                self.taken = 1
                raise ZeroDivisionError
            return super().export(spans)

    exporter = Raising()
    exporter.opened.set()
    queue = SpanQueue(exporter)
    queue.start()
    queue.put(finished())
    await eventually(lambda: queue.dropped == 1)
    queue.put(finished())
    await eventually(lambda: queue.exported == 1)
    queue.close(1)
