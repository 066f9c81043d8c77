"""How much of what lies on disk was deleted and still takes space, roughly: LevelDB gives it back when it compacts the range.

Overwritten records do not count: what overwrites them fills LevelDB's levels, and has them compacted soon.
"""

from collections.abc import Sequence

from dstk_storage.domain import layout
from dstk_storage.domain.batch import Batch
from dstk_storage.ports import Engine, EngineError

SAMPLE = 16
"""One removal of so many is looked up and counts for all of them: 0.3 µs a removal, where a look takes 5."""


class Garbage:
    """Of the expiry index, which all partitions share; that of a partition's records is the partition's own."""

    def __init__(self) -> None:
        self.index = 0
        """Bytes of index entries that were removed since the index was last compacted."""

    def index_compacted(self, size: int) -> None:
        """So many bytes of the index take no space any more; others may have been removed meanwhile."""
        self.index = max(0, self.index - size)

    def note(self, engine: Engine, batch: Batch, removed: Sequence[bytes]) -> None:
        """Counts the removals of a batch, before it is written: what they remove is still there. On the thread that writes."""
        partition = batch.partition
        begin = -partition.removed % SAMPLE
        partition.removed += len(removed)
        for key in removed[begin::SAMPLE]:
            if (raw := _stored(engine, key)) is None:
                continue
            partition.garbage += (len(key) + len(raw)) * SAMPLE
            if raw[1]:
                self.index += len(layout.expiry_key(0, key)) * SAMPLE


def _stored(engine: Engine, key: bytes) -> bytes | None:
    """A block that cannot be read is noted by the engine; nothing here depends on it."""
    try:
        return engine.get(layout.DATA + key)
    except EngineError:
        return None
