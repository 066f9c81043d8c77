"""What a client tells its observer (dstk_service.observe).

Single operations travel many in a message: messages are told, not each operation. What an operation meets on its way is told
when it happens: a retry, a failure.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from dstk_service.observe import Event
from dstk_service.trace import Span, TraceContext


@dataclass(slots=True)
class BatchSent(Event):
    """A message with operations was encoded for a node or a router."""

    address: str
    operations: int
    bytes: int
    """Of the message."""


@dataclass(slots=True)
class BatchAnswered(Event):
    """All operations of a message have their results. A message whose stream breaks has no such event."""

    address: str
    operations: int
    seconds: float
    """Since it was sent."""
    traces: Sequence[TraceContext] = ()
    """The contexts of its traced operations."""


@dataclass(frozen=True, slots=True)
class CallAnswered(Event):
    """A call of its own was answered: a bulk insert, a page of a scan, or a get of a large record."""

    method: str
    """Of the KeyValue service, such as "BulkInsert"."""
    attempts: int
    seconds: float
    """All attempts and the pauses between them."""
    span: Span | None = None
    """None: it is not traced."""


@dataclass(frozen=True, slots=True)
class OperationEnded(Event):
    """A traced operation ended. The others are not told one by one."""

    operation: str
    """Such as "put"."""
    span: Span
    seconds: float
    """All attempts and the pauses between them."""
    failure: str
    """The reason of the error that it ended with; empty: it succeeded, which a get without a record does, too."""


@dataclass(frozen=True, slots=True)
class PagesEnded(Event):
    """A traced scan has no more pages from a node, or needs none."""

    address: str
    span: Span
    seconds: float
    failure: str
    """As in OperationEnded: the next stream goes on behind the last page."""


@dataclass(frozen=True, slots=True)
class ScanEnded(Event):
    """A traced scan ended, or its caller has read enough."""

    span: Span
    seconds: float
    streams: int
    failure: str
    """As in OperationEnded."""


@dataclass(frozen=True, slots=True)
class AttemptRetried(Event):
    """An attempt failed, and the client makes another one. A redirect to another node has the reason NOT_OWNER."""

    reason: str
    """The error's, such as "NOT_OWNER"; UNSENT where the node did not receive the attempt, AMBIGUOUS where it may have."""
    pause: float
    """Seconds until the next attempt, at most: news of the map ends the pause."""


@dataclass(frozen=True, slots=True)
class CallFailed(Event):
    """An operation or a call ends with an error. That a key has no record is an answer."""

    reason: str
    """The error's, such as "ETAG_MISMATCH"."""
    attempts: int
    method: str = ""
    """Of the KeyValue service; empty: it is an operation of a message."""
    span: Span | None = None
    """None: it is not traced, or it is an operation (OperationEnded), or a page of a scan (ScanEnded)."""


@dataclass(frozen=True, slots=True)
class MapUpdated(Event):
    """An update of the partition map was adopted."""

    partitions: int
    """Entries in the update."""
    full: bool
    """It is the whole map, as at the beginning of each stream."""


@dataclass(frozen=True, slots=True)
class RouteLearned(Event):
    """A NotOwner answer has told of a newer entry of the map than an update has."""

    partition: int
    epoch: int
    primary: str
