"""What the service tells observers."""

from dataclasses import dataclass

from dstk_keytypes import NodeId, PartitionId
from dstk_metrics.domain.report import Refusal
from dstk_service.observe import Event
from dstk_service.trace import Span


@dataclass(slots=True)
class FeedTaken(Event):
    """A node's update was taken. `rows`: partitions in it. `seconds`: what it took to read and enter it."""

    node: str
    rows: int
    seconds: float


@dataclass(frozen=True, slots=True)
class RowsRefused(Event):
    """Rows of a node's update cannot be true and were refused."""

    node: str
    reason: Refusal
    rows: int


@dataclass(frozen=True, slots=True)
class FeedBroke(Event):
    """A node's feed broke, or its update was refused as a whole; it is tried again."""

    node: str
    why: str


@dataclass(frozen=True, slots=True)
class RangeMeasured(Event):
    """A node was asked to measure a range. `records`: that it read for it. `failure`: the kind of error that it ended with;
    empty: it answered. `span`: None, if the call is not traced.
    """

    node: NodeId
    partition: PartitionId
    seconds: float
    records: int
    failure: str
    span: Span | None
