"""Which operations of an `Execute` message are part of a trace."""

from collections.abc import Iterator, Sequence

from dstk.v1 import kv_pb2
from dstk_service.rpc_events import KINDS, OperationKind, TracedOperation
from dstk_service.trace import Sampler, Span, decoded


def traced(request: kv_pb2.ExecuteRequest, begun: float, sampler: Sampler) -> Sequence[TracedOperation] | None:
    """Those with a context that `sampler` follows; where none has one, the one that it picks to begin a trace, if any. None:
    not one. `begun`: when the message came, in monotonic seconds.
    """
    if traces := request.traces:
        return [*_with_context(request, traces, begun, sampler)] or None
    at = sampler.pick(len(request.operations))
    return None if at is None else [_operation(request, at, Span.root(begun))]


def _with_context(
    request: kv_pb2.ExecuteRequest, traces: Sequence[kv_pb2.OperationTrace], begun: float, sampler: Sampler
) -> Iterator[TracedOperation]:
    operations = len(request.operations)
    contexts = {trace.operation: trace.context for trace in traces[:operations]}  # a caller can send any number of them
    for at, data in contexts.items():
        if at < operations and (context := decoded(data)) is not None and sampler.follows(context):
            yield _operation(request, at, Span.under(context, begun))


def _operation(request: kv_pb2.ExecuteRequest, at: int, span: Span) -> TracedOperation:
    return TracedOperation(at, KINDS.get(request.operations[at].kind, OperationKind.UNKNOWN), span)
