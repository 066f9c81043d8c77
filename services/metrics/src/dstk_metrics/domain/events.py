"""What happens in a metrics service, as observers learn it: metrics and traces are made of these."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from dstk_keytypes import NodeId, PartitionId
from dstk_service.observe import Event
from dstk_service.trace import Span


class Refusal(StrEnum):
    """Why a row of an update is not believed."""

    BOUNDS = "bounds"
    """Its range is empty, or has keys out of bounds."""
    COUNTERS = "counters"
    """A counter fell within a session, or grew faster than any node can count."""
    VALUES = "values"
    """A figure is negative or no number."""


@dataclass(frozen=True, slots=True)
class FeedBroken(Event):
    """The stream of a node's statistics ended, or could not be opened; it is opened again after a pause."""

    node: NodeId
    error: str


@dataclass(frozen=True, slots=True)
class UpdateTaken(Event):
    """An update of a node arrived. `rows`: partitions in it; `refused`: how many of them are not believed, by the reason."""

    node: NodeId
    rows: int
    refused: Mapping[Refusal, int]


@dataclass(frozen=True, slots=True)
class MeasureEnded(Event):
    """A node was asked to measure a range. `records`: that it read for it. `failure`: the reason of the error; empty: none."""

    node: NodeId
    partition: PartitionId
    seconds: float
    records: int
    failure: str
    span: Span | None


@dataclass(frozen=True, slots=True)
class HistoryWriteFailed(Event):
    """A slot of the history could not be written."""

    error: str


@dataclass(frozen=True, slots=True)
class HistoryMovedAside(Event):
    """The file of the history was damaged. It was moved to `path`, and the history began again."""

    path: str
