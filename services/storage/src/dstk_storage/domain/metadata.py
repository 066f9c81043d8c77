"""The metadata of partitions on disk. Only the committer writes it, so that it is in order."""

from collections.abc import Collection, Iterable, Mapping

from dstk_storage.domain import layout
from dstk_storage.domain.batch import Batch, PartitionOnDisk
from dstk_storage.domain.history import History
from dstk_storage.domain.partition import Partition

Metadata = tuple[bytes, bytes | None]
"""Engine key and value; None: to be removed."""


def histories_of(batches: Iterable[Batch]) -> dict[PartitionOnDisk, History]:
    """The histories of the partitions when the batches are on disk."""
    found: dict[PartitionOnDisk, History] = {}
    for batch in batches:
        if batch.partition.dropped:
            continue
        before = found.get(batch.partition, batch.partition.log.history)
        found[batch.partition] = before.extended(batch.epoch, batch.first, batch.last)
    return found


def written(histories: Mapping[PartitionOnDisk, History], changed: Collection[Partition]) -> list[Metadata]:
    """Engine keys and values of partitions that have changed, and of those that batches belong to."""
    found: list[Metadata] = [(layout.range_key(p.id), layout.encode_range(p.range, p.epoch)) for p in changed]
    found += [(layout.snapshot_key(p.id), _attempt(p)) for p in changed]
    if changed:
        before: dict[PartitionOnDisk, History] = {p: p.log.history for p in changed}
        histories = {**before, **histories}
    for partition, history in histories.items():
        found.append((layout.position_key(partition.id), layout.encode_position(*history.position)))
        if partition in changed or history.terms != partition.log.history.terms:
            found.append((layout.history_key(partition.id), layout.encode_history(history.terms)))
    return found


def _attempt(partition: Partition) -> bytes | None:
    return layout.encode_attempt(partition.snapshot_attempt) if partition.needs_snapshot else None
