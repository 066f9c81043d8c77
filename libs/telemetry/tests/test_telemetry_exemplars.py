"""Exemplars: from a bucket of a histogram to the trace of a call that is counted in it."""

import asyncio
import http.client
import time
from collections.abc import AsyncIterator
from contextlib import closing

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.samples import Exemplar

from dstk_service.outcomes import OutcomeClass
from dstk_service.rpc_events import OperationKind, OperationsEnded, RpcEnded, TracedOperation
from dstk_service.trace import Span, TraceContext
from dstk_telemetry.metrics.instruments import Instruments
from dstk_telemetry.metrics.rpc import KeyMetrics
from dstk_telemetry.operations import OperationsServer
from dstk_telemetry.registry.kinds import Owner

KV = "dstk.v1.KeyValue"
OPEN_METRICS = {"accept": "application/openmetrics-text;version=1.0.0"}
SAMPLED = TraceContext(b"t" * 16, b"s" * 8, sampled=True)
UNSAMPLED = SAMPLED._replace(sampled=False)


@pytest.fixture
def instruments() -> Instruments:
    return Instruments(Owner.STORAGE)


@pytest.fixture
def calls(instruments: Instruments) -> KeyMetrics:
    return KeyMetrics(instruments, {KV: ["Get"]})


@pytest.fixture
async def server(instruments: Instruments) -> AsyncIterator[OperationsServer]:
    made = OperationsServer("127.0.0.1:0", instruments, dict)
    await made.start(asyncio.create_task)
    yield made
    await made.close()


async def scrape(server: OperationsServer, **headers: str) -> str:
    def ask() -> str:
        with closing(http.client.HTTPConnection(server.address, timeout=60)) as connection:
            connection.request("GET", "/metrics", headers=headers)
            return connection.getresponse().read().decode()

    return await asyncio.to_thread(ask)


async def exemplars(server: OperationsServer, histogram: str) -> dict[str, Exemplar]:
    """Those of a histogram, by the bounds of their buckets, as a scraper reads them that accepts OpenMetrics."""
    families = text_string_to_metric_families(await scrape(server, **OPEN_METRICS))
    samples = next(family.samples for family in families if family.name == histogram)
    return {each.labels["le"]: each.exemplar for each in samples if each.exemplar is not None}


def a_call(context: TraceContext | None, seconds: float) -> RpcEnded:
    span = None if context is None else Span(context, None, 1.0)
    return RpcEnded(KV, "Get", "OK", OutcomeClass.OK, seconds, False, 1, 1, span)


def a_message(context: TraceContext, seconds: float) -> OperationsEnded:
    traced = [TracedOperation(0, OperationKind.GET, Span(context, None, 1.0))]
    return OperationsEnded(1.0, gets=1, traced=traced, seconds=seconds)


async def test_a_traced_call_is_the_exemplar_of_its_bucket(server: OperationsServer, calls: KeyMetrics) -> None:
    calls.observe(a_call(SAMPLED, 0.3))
    calls.observe(a_call(None, 0.3))
    ((bound, exemplar),) = (await exemplars(server, "dstk_rpc_seconds")).items()
    assert exemplar.labels == {"trace_id": (b"t" * 16).hex(), "span_id": (b"s" * 8).hex()}
    assert exemplar.value == 0.3 <= float(bound)
    assert exemplar.timestamp is not None
    assert abs(float(exemplar.timestamp) - time.time()) < 60


async def test_a_traced_operation_is_the_exemplar_of_its_message(server: OperationsServer, calls: KeyMetrics) -> None:
    calls.observe(a_message(SAMPLED, 0.001))
    calls.observe(a_message(SAMPLED, 100.0))
    found = await exemplars(server, "dstk_execute_seconds")
    assert [exemplar.value for exemplar in found.values()] == [0.001, 100.0]
    assert "+Inf" in found


async def test_a_bucket_keeps_the_newest_of_its_traces(server: OperationsServer, calls: KeyMetrics) -> None:
    for number in range(1, 100):
        calls.observe(a_call(SAMPLED._replace(trace_id=bytes([number]) * 16), 0.3))
    (exemplar,) = (await exemplars(server, "dstk_rpc_seconds")).values()
    assert exemplar.labels["trace_id"] == "63" * 16


async def test_a_trace_that_nobody_keeps_is_no_exemplar(server: OperationsServer, calls: KeyMetrics) -> None:
    calls.observe(a_call(UNSAMPLED, 0.3))
    calls.observe(a_message(UNSAMPLED, 0.3))
    assert await exemplars(server, "dstk_rpc_seconds") == await exemplars(server, "dstk_execute_seconds") == {}


async def test_the_text_format_has_no_exemplars(server: OperationsServer, calls: KeyMetrics) -> None:
    calls.observe(a_call(SAMPLED, 0.3))
    assert "trace_id" not in await scrape(server)
    assert "trace_id" in await scrape(server, **OPEN_METRICS)
