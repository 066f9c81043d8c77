"""Bringing what a node serves in line with the partition map: at start, after a split, after any change of the map."""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from dstk_keytypes import KeyRange, PartitionId
from dstk_storage.domain.batch import Batch
from dstk_storage.domain.history import History
from dstk_storage.domain.partition import UNKNOWN, Estimate, Partition


class Before(NamedTuple):
    """A partition as it was."""

    range: KeyRange
    epoch: int
    sequence: int
    history: History
    unapplied: list[Batch]


class Assignment(NamedTuple):
    """A partition of which the map gives a replica to this node; the only one, unless `replicated`."""

    id: PartitionId
    range: KeyRange
    epoch: int
    replicated: bool = False


@dataclass(frozen=True, slots=True)
class Convergence:
    """The outcome of `converge`."""

    serving: list[Partition]
    """What the node serves from now on."""
    changed: list[Partition]
    """Those of them whose metadata must be written."""
    divergences: list[str]
    """What differed, for the log."""


def converge(
    local: Iterable[Partition], assigned: Iterable[Assignment], weigh: Callable[[KeyRange], int]
) -> Convergence:
    """Decides what to serve. The map is right about ranges and epochs, the node about sequence numbers.

    A partition that the node keeps is changed in place, since writes on their way to disk refer to it. One that is new here
    counts on from the highest sequence number of all local partitions that its range touches, so that etags keep growing
    through splits and merges, and through a crash between the map's change and ours. `weigh` gives the bytes of a range.
    """
    assigned = list(assigned)
    known = {partition.id: partition for partition in local}
    before = [Before(p.range, p.epoch, p.sequence, p.history, list(p.unapplied)) for p in known.values()]
    serving, changed, divergences = [], [], []
    for assignment in assigned:
        partition = known.get(assignment.id)
        if partition is not None and (partition.range, partition.epoch) == assignment[1:3]:
            serving.append(partition)
            continue
        divergences.append(_divergence(partition, assignment))
        partition = _adopt(partition, assignment, before)
        partition.estimate = _share(known.values(), partition, weigh)
        serving.append(partition)
        changed.append(partition)
    for partition, assignment in zip(serving, assigned, strict=True):
        partition.is_replicated = assignment.replicated
    kept = {partition.id for partition in serving}
    divergences += [
        f"partition {other.id} {other.range} is no longer ours" for other in known.values() if other.id not in kept
    ]
    return Convergence(serving, changed, divergences)


def _divergence(partition: Partition | None, assignment: Assignment) -> str:
    new = f"{assignment.range} epoch {assignment.epoch}"
    if partition is None:
        return f"partition {assignment.id} {new} is new here"
    return f"partition {assignment.id} was {partition.range} epoch {partition.epoch}, the map says {new}"


def _adopt(partition: Partition | None, assignment: Assignment, before: list[Before]) -> Partition:
    overlapping = [one for one in before if one.range.intersects(assignment.range)]
    source = max(overlapping, key=lambda one: one.sequence, default=None)
    if partition is None:
        sequence, history = (0, History()) if source is None else (source.sequence, _up_to_date(source))
        partition = Partition(assignment.id, assignment.range, assignment.epoch, sequence, history=history)
    else:
        # what gathers now is closed: it may have keys of both halves
        partition.range, partition.epoch, partition.gathering = assignment.range, assignment.epoch, None
        if source is not None and source.sequence > partition.sequence:
            partition.sequence, partition.history = source.sequence, _up_to_date(source)
    partition.unapplied = deque(batch for one in overlapping for batch in one.unapplied)
    return partition


def _up_to_date(source: Before) -> History:
    """Its history with what is still on its way to disk, so that a crash in between cannot take etags back."""
    history = source.history
    if source.sequence == history.last:
        return history
    return history.extended(max(source.epoch, history.position.epoch), history.last + 1, source.sequence)


def _share(local: Iterable[Partition], partition: Partition, weigh: Callable[[KeyRange], int]) -> Estimate:
    """Its part of what the node holds, by LevelDB's sizes; stale from the start, so that a recount comes soon."""
    total = sum(other.estimate.records for other in local)
    size = sum(other.estimate.bytes for other in local)
    everything = weigh(KeyRange.everything())
    part = weigh(partition.range) / everything if everything else 0.5
    return Estimate(total * part, size * part, drift=UNKNOWN)
