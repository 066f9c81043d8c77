"""The trace of a batch: a span of its own, in the trace of its first traced operation, with links to all of them.

A batch has one only if a write in it is traced.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

from dstk_keytypes import PartitionId
from dstk_service.observe import Observer
from dstk_service.trace import Span, TraceContext
from dstk_storage.domain.events import BatchEnded


@dataclass(frozen=True, slots=True)
class Tracing:
    """What the spans of batches need: whom to tell, and the time in monotonic seconds."""

    observer: Observer
    monotonic: Callable[[], float]


@dataclass(slots=True, eq=False)
class BatchTrace:
    """`span`: of the batch, from its first traced write on. `operations`: the spans of its traced operations."""

    tracing: Tracing
    span: Span
    operations: list[TraceContext] = field(default_factory=list)
    _left: list[tuple[str, float]] = field(default_factory=list)
    """The states that the batch has left since, by name, and when."""

    def leave(self, state: str) -> None:
        """The batch passes to its next state."""
        self._left.append((state, self.tracing.monotonic()))

    def end(self, partition: PartitionId, records: int, size: int, failure: str) -> None:
        """Tells the observer of the batch, which has ended."""
        moments = [self.span.begun, *(moment for _, moment in self._left)]
        states = [state for state, _ in self._left]
        spent = {state: until - since for state, (since, until) in zip(states, pairwise(moments), strict=True)}
        seconds = moments[-1] - self.span.begun
        self.tracing.observer.observe(
            BatchEnded(self.span, self.operations, partition, records, size, seconds, spent, failure)
        )
