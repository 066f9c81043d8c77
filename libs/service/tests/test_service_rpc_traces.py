"""Traces of calls: which calls follow a trace or begin one, and what their handlers see of it."""

import pytest

from dstk_service.outcomes import OutcomeClass
from dstk_service.rpc import RpcMeter
from dstk_service.rpc_events import RpcEnded
from dstk_service.testing import EverySampler, ManualClock, RecordingObserver
from dstk_service.trace import TraceContext, current_trace, within

CALLER = TraceContext(b"t" * 16, b"s" * 8, sampled=True)


def meter(name: str, observer: RecordingObserver, *, streaming: bool = False) -> RpcMeter:
    clock = ManualClock()
    return RpcMeter(name, observer, streaming=streaming, monotonic=clock.monotonic, sampler=EverySampler())


@pytest.mark.parametrize("streaming", [False, True])
def test_a_call_follows_its_callers_trace(streaming: bool) -> None:
    observer = RecordingObserver()
    with meter("/dstk.v1.Replication/Heartbeat", observer, streaming=streaming).call(None, 0, CALLER):
        inside = current_trace()
    (ended,) = observer.of(RpcEnded)
    assert ended.span is not None
    assert ended.span.context == inside
    assert (ended.span.context.trace_id, ended.span.parent) == (CALLER.trace_id, CALLER.span_id)
    assert current_trace() is None


@pytest.mark.parametrize(
    ("name", "streaming", "begins"),
    [
        ("/dstk.v1.KeyValue/Get", False, True),
        ("/dstk.v1.Metrics/EstimateRange", False, True),
        ("/dstk.v1.Metrics/WatchStats", True, False),
        ("/dstk.v1.Admin/SplitPartition", False, True),
        ("/dstk.v1.KeyValue/Execute", True, False),
        ("/dstk.v1.Replication/Heartbeat", False, False),
        ("/grpc.health.v1.Health/Check", False, False),
    ],
)
def test_calls_of_clients_and_operators_begin_traces_and_streams_do_not(
    name: str, streaming: bool, begins: bool
) -> None:
    observer = RecordingObserver()
    with meter(name, observer, streaming=streaming).call(None):
        assert (current_trace() is not None) is begins
    (ended,) = observer.of(RpcEnded)
    assert (ended.span is not None) is begins


def test_a_call_that_fails_leaves_no_context_behind() -> None:
    observer = RecordingObserver()
    with within(CALLER):
        with pytest.raises(ZeroDivisionError), meter("/dstk.v1.KeyValue/Get", observer).call(None):
            raise ZeroDivisionError
        assert current_trace() == CALLER
    (ended,) = observer.of(RpcEnded)
    assert ended.outcome is OutcomeClass.SERVER
    assert ended.span is not None
