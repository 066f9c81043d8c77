"""Bringing what a node serves in line with the partition map: at start, after a split, after any change of the map."""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from dstk_keytypes import KeyRange, PartitionId
from dstk_storage.domain.batch import Batch
from dstk_storage.domain.partition import UNKNOWN, Estimate, Partition

Before = tuple[KeyRange, int, list[Batch]]
"""Range, sequence number and unapplied batches of a partition as it was."""


class Assignment(NamedTuple):
    """A partition that the map gives to this node as its primary."""

    id: PartitionId
    range: KeyRange
    epoch: int


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
    known = {partition.id: partition for partition in local}
    before = [(partition.range, partition.sequence, list(partition.unapplied)) for partition in known.values()]
    serving, changed, divergences = [], [], []
    for assignment in assigned:
        partition = known.get(assignment.id)
        if partition is not None and (partition.range, partition.epoch) == assignment[1:]:
            serving.append(partition)
            continue
        divergences.append(_divergence(partition, assignment))
        partition = _adopt(partition, assignment, before)
        partition.estimate = _share(known.values(), partition, weigh)
        serving.append(partition)
        changed.append(partition)
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
    overlapping = [one for one in before if one[0].intersects(assignment.range)]
    sequence = max((sequence for _, sequence, _ in overlapping), default=0)
    if partition is None:
        partition = Partition(assignment.id, assignment.range, assignment.epoch, sequence)
    else:
        # what gathers now is closed: it may have keys of both halves
        partition.range, partition.epoch, partition.gathering = assignment.range, assignment.epoch, None
        partition.sequence = max(partition.sequence, sequence)
    partition.unapplied = deque(batch for _, _, unapplied in overlapping for batch in unapplied)
    return partition


def _share(local: Iterable[Partition], partition: Partition, weigh: Callable[[KeyRange], int]) -> Estimate:
    """Its part of what the node holds, by LevelDB's sizes; stale from the start, so that a recount comes soon."""
    total = sum(other.estimate.records for other in local)
    size = sum(other.estimate.bytes for other in local)
    everything = weigh(KeyRange.everything())
    part = weigh(partition.range) / everything if everything else 0.5
    return Estimate(total * part, size * part, drift=UNKNOWN)
