"""What a server tells its observers about calls, about the operations that travel in `Execute`, and about those that fail."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from dstk.v1 import kv_pb2
from dstk_keytypes import PartitionId
from dstk_service.observe import Event
from dstk_service.outcomes import OutcomeClass
from dstk_service.trace import Span, TraceContext


class OperationKind(StrEnum):
    """What a caller does with keys."""

    GET = "get"
    PUT = "put"
    DELETE = "delete"
    SCAN = "scan"
    BULK_INSERT = "bulk_insert"
    UNKNOWN = "unknown"
    """A number that no kind of operation has. It counts as a write: nobody knows what it was meant to do."""

    @property
    def is_write(self) -> bool:
        """True for operations that change records."""
        return self not in {OperationKind.GET, OperationKind.SCAN}


KINDS: Mapping[int, OperationKind] = {
    kv_pb2.OPERATION_KIND_GET: OperationKind.GET,
    kv_pb2.OPERATION_KIND_PUT: OperationKind.PUT,
    kv_pb2.OPERATION_KIND_DELETE: OperationKind.DELETE,
}
"""The kinds of operations in `Execute`, by their numbers on the wire."""


@dataclass(slots=True)
class RpcEnded(Event):
    """A call ended as the server saw it. A stream is told of once, when it ends: `seconds` is how long it was open."""

    service: str
    """Its full name, such as "dstk.v1.KeyValue"."""
    method: str
    code: str
    """The name of the gRPC code, such as "NOT_FOUND"."""
    outcome: OutcomeClass
    seconds: float
    streaming: bool
    request_bytes: int
    """Of the request as it came; 0 for a stream."""
    response_bytes: int
    """Of the answer as it goes; 0 for a stream, and for a call that failed."""
    span: Span | None = None
    """None: it is not traced."""


@dataclass(slots=True)
class TracedOperation:
    """An operation of an `Execute` message that is part of a trace. Whoever handles it notes what becomes of it."""

    at: int
    """Its place in the message."""
    kind: OperationKind
    span: Span
    code: int = 0
    """The number of the gRPC code that it ended with."""
    partition: PartitionId | None = None
    """The partition of its key, where the server knows it."""
    batch: TraceContext | None = None
    """The span of the batch that its write went into."""


@dataclass(slots=True)
class OperationsEnded(Event):
    """The operations of one `Execute` message were answered. Of each kind, those that are not in `failed` ended OK.

    The server counts in it while it handles the message. To count apart and then make the event took 0.15 µs more.
    """

    begun: float
    """When the message came, in seconds of the server's monotonic clock."""
    gets: int = 0
    puts: int = 0
    deletes: int = 0
    failed: dict[tuple[OperationKind, OutcomeClass], int] | None = None
    """How many operations of a kind ended in a class other than OK; None: not one. A dict for each message took 0.1 µs."""
    seconds: float = 0.0
    """From the message to the moment at which the transport had the last part of its answer."""
    response_bytes: int = 0
    traced: Sequence[TracedOperation] | None = None
    """Those of its operations that are traced; None: not one."""

    def fail(self, kind: OperationKind, outcome: OutcomeClass) -> None:
        """Counts an operation that ended in `outcome`; OK is not counted here."""
        if outcome is OutcomeClass.OK:
            return
        if self.failed is None:
            self.failed = {}
        self.failed[kind, outcome] = self.failed.get((kind, outcome), 0) + 1


@dataclass(frozen=True, slots=True)
class OperationFailed(Event):
    """An operation failed: one in `Execute`, or a call of its own. `partition`: the one that has the key, whatever epoch the
    caller named; None where this node serves none.
    """

    partition: PartitionId | None
    kind: OperationKind
    outcome: OutcomeClass
