"""Instruments and the observer of calls, as Prometheus reads them."""

from collections.abc import Iterator

import pytest
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from dstk.v1 import kv_pb2
from dstk_client.events import AttemptRetried, BatchAnswered, BatchSent
from dstk_client.operation import Ambiguous, Unsent
from dstk_client.retries import reason_of
from dstk_cluster.coordinator_events import Request, RequestEnded, WatchBroken, WatchOpened
from dstk_service import errors
from dstk_service.outcomes import OutcomeClass
from dstk_service.rpc_events import OperationKind, OperationsEnded, RpcEnded
from dstk_telemetry.metrics.client import ClientMetrics
from dstk_telemetry.metrics.coordination import EtcdMetrics
from dstk_telemetry.metrics.instruments import Instruments, Sample
from dstk_telemetry.metrics.rpc import OPERATION_OF, CallMetrics, KeyMetrics, methods_of
from dstk_telemetry.registry import clients, commit, replication, rpc
from dstk_telemetry.registry.kinds import Owner

KV = "dstk.v1.KeyValue"


@pytest.fixture
def instruments() -> Instruments:
    return Instruments(Owner.STORAGE)


@pytest.fixture
def router() -> Instruments:
    return Instruments(Owner.ROUTER)


def value(instruments: Instruments, name: str, **labels: str) -> float | None:
    """The value of one series, read from the exposition."""
    families = text_string_to_metric_families(generate_latest(instruments.collector).decode())
    found = [each.value for family in families for each in family.samples if (each.name, each.labels) == (name, labels)]
    return found[0] if found else None


def test_counters_exist_before_their_first_event(instruments: Instruments) -> None:
    instruments.counter(replication.MAP_CHANGES, "split")
    assert value(instruments, "dstk_map_changes_total", change="merge") == 0


def test_a_metric_of_another_service_is_refused() -> None:
    with pytest.raises(AssertionError, match="not a metric of the router"):
        Instruments(Owner.ROUTER).histogram(commit.COMMIT_WAIT)


def test_an_instrument_of_the_wrong_kind_is_refused(instruments: Instruments) -> None:
    with pytest.raises(AssertionError, match="dstk_commit_wait_seconds is a histogram"):
        instruments.counter(commit.COMMIT_WAIT)


async def test_figures_are_looked_up_at_each_scrape(instruments: Instruments) -> None:
    figures = [1.0]

    async def refresh() -> None:
        figures.append(figures[-1] + 1)

    instruments.refresh(refresh)
    instruments.read(lambda: [(commit.QUEUE_WRITES, (), figures[-1])])
    for expected in (2.0, 3.0):
        text, _ = await instruments.exposition()
        assert f"dstk_commit_queue_writes {expected}" in text.decode()


async def test_a_figure_that_cannot_be_read_hides_no_other_one(
    instruments: Instruments, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> Iterator[Sample]:
        raise ZeroDivisionError
        yield

    async def broken_too() -> None:
        raise ZeroDivisionError

    instruments.read(broken)
    instruments.refresh(broken_too)
    instruments.read(lambda: [(commit.QUEUE_WRITES, (), 5.0)])
    for _ in range(3):
        text, _ = await instruments.exposition()
    assert b"dstk_commit_queue_writes 5.0" in text
    assert instruments.failures == 6
    assert len(caplog.records) == 2


async def test_no_series_says_when_it_was_created(instruments: Instruments) -> None:
    instruments.counter(commit.COMMIT_RECORDS)
    instruments.histogram(commit.COMMIT_WAIT)
    for accept in ("", "application/openmetrics-text; version=1.0.0"):
        text, _ = await instruments.exposition(accept)
        assert b"dstk_commit_records_total 0.0" in text
        assert b"_created" not in text


def test_a_call_is_counted_by_method_and_outcome(instruments: Instruments) -> None:
    observer = KeyMetrics(instruments, {KV: ["Get", "Put"]})
    labels = {"rpc_service": KV, "rpc_method": "Get"}
    assert value(instruments, "dstk_rpc_ended_total", **labels, outcome="server") == 0
    observer.observe(RpcEnded(KV, "Get", "INTERNAL", OutcomeClass.SERVER, 0.02, False, 10, 0))
    assert value(instruments, "dstk_rpc_ended_total", **labels, outcome="server") == 1
    assert value(instruments, "dstk_rpc_seconds_sum", **labels) == pytest.approx(0.02)
    assert value(instruments, "dstk_rpc_bytes_total", rpc_service=KV, direction="in") == 10


def test_a_stream_is_counted_and_not_timed(instruments: Instruments) -> None:
    observer = KeyMetrics(instruments, {KV: ["Execute"]})
    labels = {"rpc_service": KV, "rpc_method": "Execute"}
    observer.observe(RpcEnded(KV, "Execute", "OK", OutcomeClass.OK, 3600.0, True, 0, 0))
    assert value(instruments, "dstk_rpc_ended_total", **labels, outcome="ok") == 1
    assert value(instruments, "dstk_rpc_seconds_count", **labels) == 0


def test_names_that_a_caller_made_up_become_no_labels(instruments: Instruments) -> None:
    observer = KeyMetrics(instruments, {KV: ["Get"]})
    observer.observe(RpcEnded("evil", "x" * 1000, "UNIMPLEMENTED", OutcomeClass.CLIENT, 0.0, False, 0, 0))
    series = {"rpc_service": "other", "rpc_method": "other", "outcome": "client"}
    assert value(instruments, "dstk_rpc_ended_total", **series) == 1
    assert b"evil" not in generate_latest(instruments.collector)


def test_operations_are_counted_by_kind_and_outcome(instruments: Instruments) -> None:
    tally = OperationsEnded(0.0, gets=5, puts=4, seconds=0.01, response_bytes=100)
    for kind in (OperationKind.PUT, OperationKind.PUT, OperationKind.UNKNOWN):
        tally.fail(kind, OutcomeClass.CLIENT)
    KeyMetrics(instruments, {}).observe(tally)
    counts = {
        (operation, outcome): value(instruments, "dstk_operations_total", operation=operation, outcome=outcome)
        for operation in ("get", "put", "delete", "unknown")
        for outcome in ("ok", "client")
    }
    assert counts == {
        ("get", "ok"): 5, ("get", "client"): 0, ("put", "ok"): 2, ("put", "client"): 2,
        ("delete", "ok"): 0, ("delete", "client"): 0, ("unknown", "ok"): 0, ("unknown", "client"): 1,
    }  # fmt: skip
    assert value(instruments, "dstk_execute_operations_sum") == 9
    assert value(instruments, "dstk_execute_response_bytes_total") == 100


def test_a_call_of_key_value_is_an_operation(instruments: Instruments) -> None:
    observer = KeyMetrics(instruments, methods_of(kv_pb2.DESCRIPTOR))
    for method in OPERATION_OF:
        observer.observe(RpcEnded(KV, method, "OK", OutcomeClass.OK, 0.1, False, 1, 1))
    observer.observe(RpcEnded("dstk.v1.Admin", "Get", "OK", OutcomeClass.OK, 0.1, False, 1, 1))
    counts = {kind: value(instruments, "dstk_operations_total", operation=kind, outcome="ok") for kind in OperationKind}
    assert counts == {"get": 1, "put": 1, "delete": 1, "scan": 2, "bulk_insert": 1, "unknown": 0}


def test_a_service_without_keys_counts_its_calls_and_has_no_series_of_operations() -> None:
    instruments = Instruments(Owner.METRICS)
    observer = CallMetrics(instruments, {"dstk.v1.Metrics": ["GetHistory"]})
    observer.observe(RpcEnded("dstk.v1.Metrics", "GetHistory", "OK", OutcomeClass.OK, 0.1, False, 1, 1))
    observer.observe(OperationsEnded(0.0, gets=5, puts=4, seconds=0.01, response_bytes=100))
    labels = {"rpc_service": "dstk.v1.Metrics", "rpc_method": "GetHistory"}
    assert value(instruments, "dstk_rpc_ended_total", **labels, outcome="ok") == 1
    assert b"dstk_operations" not in generate_latest(instruments.collector)


def test_every_method_of_key_value_but_execute_is_an_operation() -> None:
    assert set(methods_of(kv_pb2.DESCRIPTOR)[KV]) == {*OPERATION_OF, "Execute"}


def test_every_metric_of_calls_has_a_series(instruments: Instruments) -> None:
    KeyMetrics(instruments, {KV: ["Get"]})
    exposed = {
        family.name for family in text_string_to_metric_families(generate_latest(instruments.collector).decode())
    }
    assert {metric.name.removesuffix("_total") for metric in rpc.METRICS} <= exposed


def test_messages_and_retries_of_a_client(router: Instruments) -> None:
    observer = ClientMetrics(router)
    observer.observe(BatchSent("a:1", 7, 100))
    observer.observe(BatchAnswered("a:1", 7, 0.25))
    observer.observe(AttemptRetried("NOT_OWNER", 0.1))
    assert value(router, "dstk_client_batch_operations_sum") == 7
    assert value(router, "dstk_client_message_seconds_sum") == 0.25
    assert value(router, "dstk_client_retries_total", reason="NOT_OWNER") == 1
    assert value(router, "dstk_client_retries_total", reason="UNSENT") == 0


def test_every_error_that_is_retried_has_a_series() -> None:
    retried = [
        errors.NotOwner(None, ""),
        errors.NotServing("", 0.0),
        errors.Overloaded("", 0.0),
        errors.WriteAmbiguous(""),
        Unsent(""),
        Ambiguous(""),
    ]
    assert {reason_of(error) for error in retried} == set(clients.REASON.values)


async def test_requests_to_etcd_and_how_long_the_watch_is_broken(router: Instruments) -> None:
    now = [100.0]
    observer = EtcdMetrics(router, lambda: now[0])

    async def silence() -> float:
        text, _ = await router.exposition()
        (line,) = [line for line in text.decode().splitlines() if line.startswith("dstk_map_silence_seconds ")]
        return float(line.split()[1])

    now[0] = 101.0
    assert await silence() == 1
    observer.observe(RequestEnded(Request.WATCH, 0.5, failed=False))
    observer.observe(WatchOpened())
    assert await silence() == 0
    observer.observe(WatchBroken())
    observer.observe(RequestEnded(Request.RANGE, 3.0, failed=True))
    now[0] = 105.0
    assert await silence() == 4
    assert value(router, "dstk_etcd_watch_restarts_total") == 1
    assert value(router, "dstk_etcd_requests_total", request="range", result="failed") == 1
    assert value(router, "dstk_etcd_request_seconds_sum", request="watch") == 0.5
