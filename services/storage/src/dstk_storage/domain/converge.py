"""Bringing what a node holds in line with the partition map: at start, after a split, a merge, a move. Pure.

The map is right about ranges and epochs; the node about where its replicas stand. A range changes only while its partition
is quiesced (reconfiguration.py), so that every replica in sync stands at one position then. That decides what a replica keeps:

    the range is what it was                its log
    the range is a part of what it was      its log: a split moves nothing
    a split cut it off one that is here     that one's log, which was its own until then
    a merge, and both parts stand where     a new log that begins with the merge, at a sequence number above both
    the map says they stood then
    anything else                           nothing: it needs a snapshot

A part of something that is still being written needs a snapshot, too, and so does a merge of it: only a replica that was out of
sync when the partition was quiesced can be in that state, and what it writes may be what no other replica has.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from itertools import chain, islice
from typing import NamedTuple

from dstk_cluster.model import Merged, Origin, SplitOff
from dstk_keytypes import KeyRange, PartitionId
from dstk_storage.domain.compared import Compared
from dstk_storage.domain.estimate import Estimate
from dstk_storage.domain.history import History, Term
from dstk_storage.domain.log import PartitionLog
from dstk_storage.domain.partition import Part, Partition

FIRST_EPOCH = 1
"""Of a partition that was made with its cluster: it begins empty on every engine that is older than the map, and no other."""


class Before(NamedTuple):
    """A partition as it was."""

    range: KeyRange
    history: History
    needs_snapshot: bool
    quarantined: bool
    writing: bool
    """Something is on its way to disk that its history does not tell of yet; a part of it would not know how much it has."""
    garbage: int
    compared: Compared | None
    parts: tuple[Part, ...]
    estimate: Estimate


class Assignment(NamedTuple):
    """A partition of which the map gives a replica to this node."""

    id: PartitionId
    range: KeyRange
    epoch: int
    origin: Origin | None = None


class Divergence(NamedTuple):
    """How a node differed from the partition map, for the log. `ranges`: the keys that it is about."""

    partition: PartitionId
    text: str
    ranges: tuple[KeyRange, ...]


@dataclass(frozen=True, slots=True)
class Convergence:
    """The outcome of `converge`."""

    held: list[Partition]
    """What the node holds from now on, in the order of the assignments."""
    changed: list[Partition]
    """Those of them whose metadata must be written."""
    moved: list[Partition]
    """Those of them that are new here or have another range: they count only when that is on disk (R14)."""
    dropped: list[Partition]
    """What it holds no more."""
    orphaned_ranges: list[KeyRange]
    """What lies on disk and belongs to no partition that it holds."""
    divergences: list[Divergence]
    """What differed, for the log."""


def converge(
    local: Iterable[Partition],
    assigned: Iterable[Assignment],
    weigh: Callable[[KeyRange], int],
    *,
    founding: bool,
) -> Convergence:
    """Decides what to hold. A partition that stays is changed in place, since writes on their way to disk refer to it.
    `weigh` gives the bytes of a range; `founding`: the engine is older than the map (R11).
    """
    assigned = list(assigned)
    known = {partition.id: partition for partition in local}
    before = {partition.id: _as_it_was(partition) for partition in known.values()}
    held, changed, moved, divergences = [], [], [], []
    for assignment in assigned:
        partition = known.get(assignment.id)
        if partition is None or partition.range != assignment.range:
            divergences.append(_divergence(partition, assignment))
            partition = _adopt(partition, assignment, before, founding=founding)
            partition.estimate = _estimate(partition, before.values(), weigh)
            changed.append(partition)
            moved.append(partition)
        elif partition.epoch != assignment.epoch:
            partition.epoch = assignment.epoch
            changed.append(partition)
        held.append(partition)
    kept = {partition.id for partition in held}
    dropped = [partition for partition in known.values() if partition.id not in kept]
    divergences += [
        Divergence(other.id, f"partition {other.id} is no longer ours", (other.range,)) for other in dropped
    ]
    orphaned_ranges = []
    if divergences:  # else nothing has moved, as with most maps
        orphaned_ranges = remainder((was.range for was in before.values()), [partition.range for partition in held])
    return Convergence(held, changed, moved, dropped, orphaned_ranges, divergences)


def _as_it_was(partition: Partition) -> Before:
    history, needs_snapshot, writing = (
        partition.log.history,
        partition.needs_snapshot,
        partition.log.handed != partition.log.position,
    )
    partition.estimate.catch_up(partition.log.last)
    rest = partition.quarantined, writing, partition.garbage, partition.compared, partition.parts, partition.estimate
    return Before(partition.range, history, needs_snapshot, *rest)


def remainder(ranges: Iterable[KeyRange], taken: Iterable[KeyRange]) -> list[KeyRange]:
    """What is left of the ranges without those that are taken."""
    holes = _united(taken)
    starts = [hole.start for hole in holes]
    return [
        part
        for whole in ranges
        for part in _without(whole, islice(holes, max(0, bisect_right(starts, whole.start) - 1), None))
    ]


def _united(ranges: Iterable[KeyRange]) -> list[KeyRange]:
    """The same keys in ranges that lie apart, in order: with a thousand partitions, each with each takes half a second."""
    united: list[KeyRange] = []
    for each in sorted((each for each in ranges if not each.is_empty), key=lambda each: each.start):
        last = united[-1] if united else None
        if last is None or (last.end is not None and last.end < each.start):
            united.append(each)
        elif last.end is not None and (each.end is None or each.end > last.end):
            united[-1] = KeyRange(last.start, each.end)
    return united


def _without(whole: KeyRange, holes: Iterable[KeyRange]) -> Iterator[KeyRange]:
    """What lies between the holes, of which only the first may begin before `whole` does."""
    start = whole.start
    for hole in holes:
        if whole.end is not None and hole.start >= whole.end:
            break
        if start < hole.start:
            yield KeyRange(start, hole.start)
        if hole.end is None:
            return
        start = max(start, hole.end)
    if whole.end is None or start < whole.end:
        yield KeyRange(start, whole.end)


def _divergence(partition: Partition | None, assignment: Assignment) -> Divergence:
    who, new = f"partition {assignment.id}", assignment.range
    if partition is None:
        return Divergence(assignment.id, f"{who} of epoch {assignment.epoch} is new here", (new,))
    text = f"{who} had another range in epoch {partition.epoch}, the map says epoch {assignment.epoch}"
    return Divergence(assignment.id, text, (partition.range, new))


def _adopt(
    partition: Partition | None, new: Assignment, before: Mapping[PartitionId, Before], *, founding: bool
) -> Partition:
    if partition is None:
        return _newcomer(new, before, founding=founding)
    was = before[new.id]
    partition.range, partition.epoch = new.range, new.epoch
    if not was.range.contains_range(new.range):
        _stand(partition, _merged(new, before))
        partition.garbage = sum(part.garbage for part in before.values() if new.range.contains_range(part.range))
        merged = (part for part in before.values() if new.range.intersects(part.range))
        partition.parts = tuple(chain.from_iterable((Part(part.range, part.history), *part.parts) for part in merged))
    return partition


def _newcomer(new: Assignment, before: Mapping[PartitionId, Before], *, founding: bool) -> Partition:
    parent = before.get(new.origin.parent) if isinstance(new.origin, SplitOff) else None
    if parent is not None and parent.range.contains_range(new.range):
        partition = Partition(new.id, new.range, new.epoch, PartitionLog(parent.history))
        partition.needs_snapshot, partition.quarantined = parent.needs_snapshot or parent.writing, parent.quarantined
        partition.garbage, partition.compared, partition.parts = parent.garbage, parent.compared, parent.parts
        return partition
    partition = Partition(new.id, new.range, new.epoch)
    partition.needs_snapshot = not (founding and new.epoch == FIRST_EPOCH)
    return partition


def _merged(new: Assignment, before: Mapping[PartitionId, Before]) -> History | None:
    """The log of a merged partition; None when this node's parts do not stand where the others' stood."""
    origin, lower = new.origin, before[new.id]
    upper = before.get(origin.upper) if isinstance(origin, Merged) else None
    if not isinstance(origin, Merged) or upper is None or not all(_is_settled(part) for part in (lower, upper)):
        return None
    if (lower.history.position, upper.history.position) != (origin.lower_at, origin.upper_at):
        return None
    whole = KeyRange(lower.range.start, upper.range.end)
    if lower.range.end != upper.range.start or not whole.contains_range(new.range):
        return None
    return History((Term(origin.epoch, 1),), max(origin.lower_at.seq, origin.upper_at.seq) + 1)


def _is_settled(part: Before) -> bool:
    return not (part.needs_snapshot or part.writing)


def _stand(partition: Partition, history: History | None) -> None:
    partition.needs_snapshot = history is None
    partition.log.reset(history or History())


def _estimate(partition: Partition, before: Iterable[Before], weigh: Callable[[KeyRange], int]) -> Estimate:
    """What a partition with another range holds: shares of the partitions that its keys belonged to, by LevelDB's sizes. The
    shares of a partition that is split have its sum.
    """
    held = partition.range
    parts = [part for part in before if part.range.intersects(held) and not part.needs_snapshot]
    if partition.needs_snapshot or not parts or remainder([held], [part.range for part in parts]):
        return Estimate()
    made = reduce(Estimate.joined, [_share(part, held, weigh) for part in parts])
    if any(part.estimate.left_at is not None for part in parts):
        made.left(partition.log.last)
    return made


def _share(part: Before, held: KeyRange, weigh: Callable[[KeyRange], int]) -> Estimate:
    if held.contains_range(part.range):
        return part.estimate.share(1.0)
    total = weigh(part.range)
    return part.estimate.share(weigh(part.range.intersection(held)) / total if total else 0.5)
