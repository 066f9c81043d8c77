"""Recounts the records of partitions whose estimates have become stale, in small bounded steps."""

import logging
from functools import partial

from dstk_keytypes import KeyRange
from dstk_service.clock import Clock
from dstk_service.logs.fields import LogFields
from dstk_storage.domain import reads
from dstk_storage.domain.estimate import Counted
from dstk_storage.domain.partition import Partition
from dstk_storage.domain.store import Store
from dstk_storage.ports import Engine, EngineError, Offload

log = logging.getLogger(__name__)

IDLE_LOOKS, IDLE_SECONDS = 100, 0.005

SPARE_RECORDS = 50_000.0
"""How many records of vague estimates are counted at a time: 20 ms on a thread."""

FIXED_RECORDS = 1000
"""What a count costs beside its records, in records."""


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
        """Counts partitions with stale estimates until cancelled, and vague ones as far as they are cheap; looks for them
        `every` so many seconds.
        """
        while True:
            spare = SPARE_RECORDS
            for partition in list(self._store.table):
                estimate = partition.estimate
                cost = FIXED_RECORDS + estimate.records
                if partition.quarantined or not (estimate.is_stale or (estimate.is_vague and cost <= spare)):
                    continue
                spare -= 0 if estimate.is_stale else cost
                await self._guarded(partition)
            await self._clock.sleep(every)

    async def recount(self, partition: Partition) -> None:
        """Counts the records of a partition in steps, as they are at one moment; what is written meanwhile is added. Gives up
        when the partition gets another range or other contents meanwhile. Raises EngineError.
        """
        await self._idle(partition)
        begun, estimate = partition.range, partition.estimate
        with self._engine.snapshot() as snapshot:
            mark, now_ms, doubtful = estimate.mark(), self._clock.now_ms(), _pending(partition)
            found, start = Counted(), begun.start
            while True:
                before = self._clock.monotonic()
                step = partial(reads.count, snapshot, KeyRange(start, begun.end), self._step_size, now_ms)
                counted, resume_key = await self._offload(step)
                if partition.range != begun or partition.estimate is not estimate:
                    return
                found = found.plus(counted)
                if resume_key is None:
                    break
                start = resume_key
                await self._clock.sleep((self._clock.monotonic() - before) * self._rest)
        estimate.recounted(found, mark, doubtful)

    async def _idle(self, partition: Partition) -> None:
        """Waits a little for a moment in which no write is on its way to the disk. It is not known whether a snapshot has such
        writes.
        """
        for _ in range(IDLE_LOOKS):
            if partition.pending.is_empty():
                return
            await self._clock.sleep(IDLE_SECONDS)

    async def _guarded(self, partition: Partition) -> None:
        try:
            await self.recount(partition)
        except EngineError as error:
            log.warning("a recount is postponed", extra=LogFields(partition=partition.id, error=str(error)))


def _pending(partition: Partition) -> int:
    """Writes that have not ended."""
    return sum(len(batch.keys) for batch in partition.pending.batches if not batch.has_ended)
