"""Measures the messages of a lane, for an observer."""

import time
from collections.abc import Sequence

from dstk.v1 import kv_pb2
from dstk_client.events import BatchAnswered, BatchSent
from dstk_service.observe import NULL, Observer
from dstk_service.trace import TraceContext, decoded


class BatchMeter:
    """Of one stream of a lane: what a stream that broke has sent is never answered."""

    def __init__(self, address: str, observer: Observer) -> None:
        self._address, self._observer = address, observer
        self._sent: dict[int, tuple[int, float, Sequence[TraceContext]]] = {}

    @classmethod
    def of(cls, address: str, observer: Observer) -> "BatchMeter | None":
        """None for NULL: nobody listens, and nothing is measured."""
        return None if observer is NULL else cls(address, observer)

    def sent(self, number: int, operations: int, size: int, traces: Sequence[kv_pb2.OperationTrace]) -> None:
        """The message `number` of the stream goes to the transport."""
        contexts = [context for trace in traces if (context := decoded(trace.context)) is not None]
        self._sent[number] = operations, time.monotonic(), contexts
        self._observer.observe(BatchSent(self._address, operations, size))

    def answered(self, number: int) -> None:
        """The last part of its answer has come."""
        operations, begun, traces = self._sent.pop(number)
        self._observer.observe(BatchAnswered(self._address, operations, time.monotonic() - begun, traces))
