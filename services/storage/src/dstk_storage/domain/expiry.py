"""Removes expired records, in small bounded steps, so that callers do not wait long for them."""

import logging
from collections import Counter
from functools import partial
from itertools import islice

from dstk_service.clock import Clock
from dstk_service.logs.fields import LogFields
from dstk_service.observe import NULL, Observer
from dstk_storage.domain import layout
from dstk_storage.domain.errors import LeaseOver, NotOwned, QueueFull, ReadOnly, StorageError
from dstk_storage.domain.events import RecordsExpired
from dstk_storage.domain.orphaned_ranges import ExpiryEntry
from dstk_storage.domain.partition import Partition
from dstk_storage.domain.receipt import Receipt
from dstk_storage.domain.store import Store
from dstk_storage.domain.writes import Writer
from dstk_storage.ports import Engine, EngineError, Offload

log = logging.getLogger(__name__)


class ExpiryReaper:
    """Removes expired records through the expiry index, `step_size` a step, as ordinary writes of their partition."""

    def __init__(
        self,
        engine: Engine,
        offload: Offload,
        store: Store,
        writer: Writer,
        clock: Clock,
        *,
        step_size: int = 500,
        pause: float = 0.5,
        observer: Observer = NULL,
    ) -> None:
        self._observer = observer
        self._engine = engine
        self._offload = offload
        self._store, self._writer = store, writer
        self._clock = clock
        self._step_size = step_size
        self._pause = pause
        self._at = layout.EXPIRY
        """Where the next step reads the index. Entries of partitions that others lead are left to their primaries."""
        self._until_ms = 0
        """What had expired by then is removed; 0: nothing is yet."""
        self._expiring = set[Partition]()
        """The partitions that the last step removed records of."""

    async def run(self) -> None:
        """Removes expired records until cancelled; pauses `pause` seconds between steps, a tenth of that in a backlog."""
        while True:
            removed = await self._guarded_step()
            await self._clock.sleep(self._pause / 10 if removed == self._step_size else self._pause)

    async def step(self) -> int:
        """Removes the records of the next `step_size` due index entries, where this node leads; returns how many entries there
        were. Raises StorageError, EngineError.
        """
        now_ms = self._clock.now_ms()
        due = await self._offload(partial(_due, self._engine, self._at, now_ms, self._step_size))
        behind = len(due) == self._step_size
        self._at = layout.expiry_key(*due[-1]) + b"\0" if behind else layout.EXPIRY
        receipt, skipped, reaped = Receipt(), list[ExpiryEntry](), Counter[Partition]()
        for expires_at_ms, key in due:
            try:
                if (partition := self._writer.expire(key, expires_at_ms, now_ms, receipt)) is not None:
                    reaped[partition] += 1
            except (NotOwned, LeaseOver):
                skipped.append((expires_at_ms, key))
        self._note(reaped, due[-1][0] if behind else now_ms, behind=behind)
        await receipt.durable()
        await self._delete_orphaned(skipped)
        if due:
            self._observer.observe(RecordsExpired(len(due) - len(skipped), len(skipped), behind))
        return len(due)

    def _note(self, reaped: Counter[Partition], until_ms: int, *, behind: bool) -> None:
        """Tells the partitions how fast their records expire, and until when the expired ones are removed."""
        span_ms, self._until_ms = until_ms - (self._until_ms or until_ms), until_ms
        for partition in self._expiring - reaped.keys():
            partition.estimate.unreaped.pace(0.0, until_ms, behind=False)
        for partition, count in reaped.items():
            per_ms = count / span_ms if span_ms > 0 else 0.0
            partition.estimate.unreaped.pace(per_ms, until_ms, behind=behind)
        self._expiring = set(reaped)

    async def _delete_orphaned(self, skipped: list[ExpiryEntry]) -> None:
        """Else they would be read again for ever: no primary removes them."""
        if any(not self._store.is_held(key) for _, key in skipped):
            await self._store.orphaned_ranges.delete_entries(skipped, self._store.is_held)

    async def _guarded_step(self) -> int:
        try:
            return await self.step()
        except (QueueFull, ReadOnly):  # disk.py logs when a disk runs full
            return 0
        except (StorageError, EngineError) as error:
            log.warning("the removal of expired records is postponed", extra=LogFields(error=str(error)))
            return 0


def _due(engine: Engine, start: bytes, now_ms: int, limit: int) -> list[tuple[int, bytes]]:
    with engine.iterate(start, layout.expiry_key(now_ms + 1, b"")) as pairs:
        return [layout.decode_expiry_key(key) for key, _ in islice(pairs, limit)]
