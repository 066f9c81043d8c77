"""The partitions as they lie on disk, and what a held one is when its engine was reopened. Reading blocks."""

from collections.abc import Iterable, Iterator
from enum import Enum, auto

from dstk_keytypes import PartitionId
from dstk_storage.domain import layout
from dstk_storage.domain.compared import Compared
from dstk_storage.domain.history import History
from dstk_storage.domain.log import PartitionLog
from dstk_storage.domain.partition import Partition
from dstk_storage.ports import Engine


def partitions_on_disk(engine: Engine) -> Iterator[Partition]:
    """The partitions whose range is on disk. Raises EngineError."""
    fields: dict[int, dict[bytes, bytes]] = {}
    with engine.iterate(layout.PARTITIONS, layout.EXPIRY) as pairs:
        for key, raw in pairs:
            partition_id, kind = layout.decode_partition_key(key)
            fields.setdefault(partition_id, {})[kind] = raw
    for number, kinds in fields.items():
        if b"r" in kinds:  # else it is a write that was on its way when the partition went
            yield _decoded(PartitionId(number), kinds)


def _decoded(number: PartitionId, kinds: dict[bytes, bytes]) -> Partition:
    key_range, epoch = layout.decode_range(kinds[b"r"])
    history = History(layout.decode_history(kinds[b"h"]), layout.decode_position(kinds[b"p"])[1])
    partition = Partition(number, key_range, epoch, PartitionLog(history))
    partition.needs_snapshot = b"c" in kinds
    partition.snapshot_attempt = layout.decode_attempt(kinds.get(b"c", b""))
    partition.compared = Compared.decoded(kinds[b"v"]) if b"v" in kinds else None
    return partition


class Unknown(Enum):
    """It is unknown what a replica holds."""

    UNKNOWN = auto()


def after_failure(held: Partition, stored: Iterable[Partition]) -> History | Unknown | None:
    """Returns the history of the disk when it has a write that the log of a held partition lacks: a write that failed may be on
    disk all the same. None: the disk has nothing more. UNKNOWN: the log cannot adopt that write, because the range was merged
    meanwhile, or the log has other writes in its place.

    Without this check a replica would keep the write where the next primary has another one in its place.
    """
    if held.needs_snapshot:
        return None
    position, more = held.log.position, None
    for other in stored:
        history = other.log.history
        if not other.range.intersects(held.range) or _has(held, other):
            continue
        # the same partition, or the one that it was split from while the disk failed
        if not other.range.contains_range(held.range) or not history.contains(position):
            return Unknown.UNKNOWN
        more = history
    return more


def _has(held: Partition, stored: Partition) -> bool:
    """Whether the held partition, or one of the parts that it was merged from, has all writes of the stored one."""
    parts = (part.history for part in held.parts if part.range.intersects(stored.range))
    return any(history.contains(stored.log.position) for history in (held.log.history, *parts))
