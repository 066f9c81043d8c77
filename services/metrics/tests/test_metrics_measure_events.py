"""What observers learn about the ranges that nodes measure: figures and spans."""

import asyncio
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from dstk_keytypes import NodeId, PartitionId
from dstk_metrics.adapters.measure_events import measuring
from dstk_metrics.adapters.metrics import MeasureMetrics
from dstk_metrics.adapters.spans import METRICS_SPANS
from dstk_service.observe import Observers
from dstk_service.trace import TRACEPARENT, TraceContext, within
from dstk_telemetry.metrics.instruments import Instruments
from dstk_telemetry.registry.kinds import Owner
from dstk_telemetry.tracing.otlp import OtelExporter
from dstk_telemetry.tracing.tracing import TraceSettings, Tracing

NODE, PARTITION = NodeId("storage-1"), PartitionId(7)
CALLER = TraceContext(b"t" * 16, b"p" * 8, sampled=True)


class Watching:
    """The observers of a metrics service, and what they have made."""

    def __init__(self) -> None:
        self.instruments, self._memory = Instruments(Owner.METRICS), InMemorySpanExporter()
        self._tracing = Tracing(TraceSettings(), {}, METRICS_SPANS, exporter=OtelExporter(self._memory, {}))
        self.observers = Observers(MeasureMetrics(self.instruments), *self._tracing.observers)

    def figure(self, name: str, **labels: str) -> float | None:
        return self.instruments.collector.get_sample_value(name, labels)

    async def spans(self) -> tuple[ReadableSpan, ...]:
        await self._tracing.start(lambda loop: pytest.fail(f"{loop} runs on the event loop"))
        await self._tracing.close()
        return self._memory.get_finished_spans()


@pytest.fixture
def watched() -> Iterator[Watching]:
    made = Watching()
    yield made
    assert made.observers.failures == 0


def test_a_range_that_is_measured_is_counted_and_timed(watched: Watching) -> None:
    with measuring(watched.observers, NODE, PARTITION) as measure:
        assert measure.metadata == ()
        measure.records = 300
    assert watched.figure("dstk_measure_requests_total", result="ok") == 1
    assert watched.figure("dstk_measure_requests_total", result="failed") == 0
    assert watched.figure("dstk_measure_records_total") == 300
    assert watched.figure("dstk_measure_seconds_count") == 1


def test_a_node_that_does_not_answer_is_counted_and_its_error_goes_on(watched: Watching) -> None:
    with pytest.raises(TimeoutError), measuring(watched.observers, NODE, PARTITION):
        raise TimeoutError
    assert watched.figure("dstk_measure_requests_total", result="failed") == 1


async def test_within_a_traced_call_it_is_a_span_that_the_node_goes_on_from(watched: Watching) -> None:
    with within(CALLER), measuring(watched.observers, NODE, PARTITION) as measure:
        await asyncio.sleep(0)
        measure.records = 300
    (span,) = await watched.spans()
    assert (span.name, span.kind.name) == ("dstk.metrics.measure", "CLIENT")
    assert span.attributes == {"dstk.partition.id": 7, "dstk.peer.id": "storage-1", "dstk.measure.records": 300}
    assert span.parent is not None
    assert span.parent.span_id.to_bytes(8) == CALLER.span_id
    ((name, sent),) = measure.metadata
    assert name == TRACEPARENT
    assert f"{span.context.span_id:016x}" in sent


async def test_an_untraced_call_has_no_span(watched: Watching) -> None:
    with measuring(watched.observers, NODE, PARTITION):
        pass
    assert await watched.spans() == ()
