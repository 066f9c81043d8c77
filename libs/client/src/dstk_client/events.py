"""What a client tells its observer (dstk_service.observe).

Single operations travel many in a message: messages are told, not each operation. What an operation meets on its way is told
when it happens: a retry, a failure.
"""

from dataclasses import dataclass

from dstk_service.observe import Event


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


@dataclass(frozen=True, slots=True)
class CallAnswered(Event):
    """A call of its own was answered: a bulk insert, a page of a scan, or a get of a large record."""

    method: str
    """Of the KeyValue service, such as "BulkInsert"."""
    attempts: int
    seconds: float
    """All attempts and the pauses between them."""


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
