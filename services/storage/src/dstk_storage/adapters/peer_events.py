"""What the adapters between nodes tell the observer of traced work. What is not traced is not told."""

from dataclasses import dataclass

from dstk_keytypes import NodeId, PartitionId
from dstk_service.observe import Event
from dstk_service.trace import Span


@dataclass(frozen=True, slots=True)
class EntrySent(Event):
    """A primary sent an entry of the log to a follower, and has its answer or none."""

    span: Span
    node: NodeId
    """The follower."""
    partition: PartitionId
    seconds: float
    failure: str
    """The kind of error that it ended with; empty: the follower answered."""


@dataclass(frozen=True, slots=True)
class EntryReceived(Event):
    """A follower took an entry of the log to disk, or did not take it, and answers."""

    span: Span
    partition: PartitionId
    seconds: float
    failure: str
    """As in EntrySent."""


@dataclass(frozen=True, slots=True)
class PeerCalled(Event):
    """This node called another one."""

    span: Span
    node: NodeId
    method: str
    """Of the Replication service, such as "RequestVote"."""
    seconds: float
    failure: str
    """As in EntrySent."""
