"""What the service tells observers."""

from dataclasses import dataclass

from dstk_metrics.domain.report import Refusal
from dstk_service.observe import Event


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
