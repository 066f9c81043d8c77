"""Which operations of a message are traced, whatever a caller sends."""

from hypothesis import given
from hypothesis import strategies as st

from dstk.v1 import kv_pb2
from dstk_service.testing import EverySampler
from dstk_service.trace import CONTEXT_BYTES, NeverSampler, TraceContext
from dstk_service.traced_operations import traced

CALLER = TraceContext(b"t" * 16, b"s" * 8, sampled=True)
OPERATIONS = 3

contexts = st.one_of(st.binary(max_size=60), st.binary(min_size=CONTEXT_BYTES, max_size=CONTEXT_BYTES))
numbers = st.one_of(st.integers(0, OPERATIONS), st.integers(0, 2**32 - 1))
garbage = st.lists(st.builds(kv_pb2.OperationTrace, operation=numbers, context=contexts), max_size=20)


def with_traces(*traces: kv_pb2.OperationTrace) -> kv_pb2.ExecuteRequest:
    operations = [kv_pb2.Operation(kind=kv_pb2.OPERATION_KIND_GET, key=b"k") for _ in range(OPERATIONS)]
    return kv_pb2.ExecuteRequest(id=1, operations=operations, traces=traces)


def of(operation: int, context: TraceContext = CALLER) -> kv_pb2.OperationTrace:
    return kv_pb2.OperationTrace(operation=operation, context=context.encoded())


@given(garbage)
def test_whatever_comes_each_operation_is_traced_once_at_most(traces: list[kv_pb2.OperationTrace]) -> None:
    found = traced(with_traces(*traces), 1.0, EverySampler()) or []
    assert len({each.at for each in found}) == len(found) <= OPERATIONS
    assert all(each.at < OPERATIONS for each in found)


def test_an_operation_is_in_the_trace_that_its_caller_names() -> None:
    (found,) = traced(with_traces(of(2)), 1.0, NeverSampler()) or []
    assert (found.at, found.span.parent, found.span.context.trace_id) == (2, CALLER.span_id, CALLER.trace_id)


def test_traces_beyond_the_number_of_operations_are_not_looked_at() -> None:
    found = traced(with_traces(*[of(9)] * OPERATIONS, of(0)), 1.0, EverySampler())
    assert not found


def test_a_message_without_contexts_is_sampled_and_one_with_them_is_not() -> None:
    assert [each.at for each in traced(with_traces(), 1.0, EverySampler()) or []] == [0]
    assert traced(with_traces(), 1.0, NeverSampler()) is None
    assert traced(with_traces(kv_pb2.OperationTrace(context=b"garbage")), 1.0, EverySampler()) is None


def test_operations_that_are_over_the_rate_are_untraced() -> None:
    sampler = NeverSampler()
    found = [traced(with_traces(of(0), of(1), of(2)), 1.0, sampler) for _ in range(1000)]
    assert found[0] is not None
    assert found[-1] is None
