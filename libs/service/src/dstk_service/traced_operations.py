"""Which operations of an `Execute` message are part of a trace."""

from collections.abc import Iterator, Sequence

from dstk.v1 import kv_pb2
from dstk_service.rpc_events import KINDS, OperationKind, TracedOperation
from dstk_service.trace import Sampler, Span, decoded


def traced(request: kv_pb2.ExecuteRequest, begun: float, sampler: Sampler) -> Sequence[TracedOperation] | None:
    """Those with a context; where none has one, the one that `sampler` picks to begin a trace, if any. None: not one. `begun`:
    when the message came, in monotonic seconds.
    """
    if traces := request.traces:
        return [*_with_context(request, traces, begun)] or None
    at = sampler.pick(len(request.operations))
    return None if at is None else [_operation(request, at, Span.root(begun))]


def _with_context(
    request: kv_pb2.ExecuteRequest, traces: Sequence[kv_pb2.OperationTrace], begun: float
) -> Iterator[TracedOperation]:
    contexts = {trace.operation: context for trace in traces if (context := decoded(trace.context)) is not None}
    for at, context in contexts.items():
        if at < len(request.operations):
            yield _operation(request, at, Span.under(context, begun))


def _operation(request: kv_pb2.ExecuteRequest, at: int, span: Span) -> TracedOperation:
    return TracedOperation(at, KINDS.get(request.operations[at].kind, OperationKind.UNKNOWN), span)
