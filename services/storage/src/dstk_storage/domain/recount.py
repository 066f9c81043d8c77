"""Recounts the records of partitions whose estimates have become stale, in small bounded steps."""

import logging
from functools import partial

from dstk_keytypes import KeyRange
from dstk_service.clock import Clock
from dstk_service.logs.fields import LogFields
from dstk_storage.domain import reads
from dstk_storage.domain.partition import Partition
from dstk_storage.domain.store import Store
from dstk_storage.ports import Engine, EngineError, Offload

log = logging.getLogger(__name__)


class Recounter:
    """Makes estimates exact again. `idle_share`: of the time it pauses, so that callers hardly notice it."""

    def __init__(
        self,
        engine: Engine,
        offload: Offload,
        store: Store,
        clock: Clock,
        *,
        step_size: int = 2000,
        idle_share: float = 0.9,
    ) -> None:
        self._engine = engine
        self._offload = offload
        self._store = store
        self._clock = clock
        self._step_size = step_size
        self._rest = idle_share / (1 - idle_share)

    async def run(self, *, every: float = 5.0) -> None:
        """Recounts partitions with stale estimates until cancelled; looks for them `every` so many seconds."""
        while True:
            for partition in list(self._store.table):
                if partition.estimate.is_stale and not partition.quarantined:
                    await self._guarded(partition)
            await self._clock.sleep(every)

    async def recount(self, partition: Partition) -> None:
        """Counts the live records of a partition in steps. Gives up when its range changes meanwhile. Raises EngineError."""
        begun, drift = partition.range, partition.estimate.drift
        records = size = 0
        start: bytes | None = begun.start
        while start is not None:
            clock_before = self._clock.monotonic()
            step = partial(reads.count, self._engine, KeyRange(start, begun.end), self._step_size, self._clock.now_ms())
            counted = await self._offload(step)
            if partition.range != begun:
                return
            records += counted.records
            size += counted.size
            start = counted.resume_key
            if start is not None:
                await self._clock.sleep((self._clock.monotonic() - clock_before) * self._rest)
        partition.estimate.recounted(records, size, drift)

    async def _guarded(self, partition: Partition) -> None:
        try:
            await self.recount(partition)
        except EngineError as error:
            log.warning("a recount is postponed", extra=LogFields(partition=partition.id, error=str(error)))
