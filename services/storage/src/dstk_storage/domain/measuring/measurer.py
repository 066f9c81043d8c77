"""Measures ranges of the partitions that this node leads, a bounded number at once."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from dstk_keytypes import KeyRange, PartitionId
from dstk_service.clock import Clock
from dstk_storage.domain import layout
from dstk_storage.domain.errors import NotOwned, QueueFull
from dstk_storage.domain.measuring.contents import Amount
from dstk_storage.domain.measuring.sampler import Sampler
from dstk_storage.domain.measuring.table import Table, tabulate
from dstk_storage.domain.measuring.write_buffer import WriteBuffer
from dstk_storage.domain.partition import Partition, check_lease
from dstk_storage.domain.store import Store
from dstk_storage.ports import EngineCorruption

MOST_AT_ONCE = 2
RETRY_SECONDS = 0.25

REST = 1.0
"""How many times as long as a step it pauses after it: callers need the threads, and the processor."""

_ENDED = object()


@dataclass(frozen=True, slots=True)
class Measured:
    """What the part of a range that lies in the partition has. `examined`: records that were read for it."""

    range: KeyRange
    table: Table
    examined: int


class RangeMeasurer:
    """Reads on the store's threads, in steps of about 5 ms."""

    def __init__(self, store: Store, buffer: WriteBuffer, clock: Clock, rng: random.Random) -> None:
        self._store, self._buffer, self._clock, self._rng = store, buffer, clock, rng
        self._running = 0

    async def measure(self, number: PartitionId, wanted: KeyRange, buckets: int) -> Measured:
        """Measures the part of `wanted` that lies in the partition, as it was at some moment of the call. The result has at
        most so many buckets.

        Raises NotOwned when this node does not lead the partition, or stops leading it meanwhile, or when the partition has
        no key of the range; Corrupt, LeaseOver, QueueFull, EngineError.
        """
        partition = self._led(number, wanted)
        begun = partition.range
        here = begun.intersection(wanted)
        if here.is_empty:
            return Measured(here, Table((), [Amount(0, 0)], Amount(0, 0)), 0)
        with self._one():
            return await self._measure(partition, begun, here, buckets)

    async def _measure(self, partition: Partition, begun: KeyRange, here: KeyRange, buckets: int) -> Measured:
        before = Amount(partition.estimate.records, partition.estimate.bytes)
        unseen = await self._buffer.make_small()
        sampler = Sampler(self._store.engine, layout.data_bounds(here), buckets, self._clock.now_ms(), self._rng)
        try:
            await self._sample(partition, begun, sampler)
        except EngineCorruption as error:
            raise self._store.quarantine(here.start, error) from error
        table = tabulate(sampler.strata, buckets)
        now = partition.estimate
        off = Amount(
            table.error.records + abs(now.records - before.records) + (unseen if table.error.records else 0),
            table.error.bytes + abs(now.bytes - before.bytes),
        )
        return Measured(here, Table(table.borders, table.amounts, off), sampler.examined)

    async def _sample(self, partition: Partition, begun: KeyRange, sampler: Sampler) -> None:
        steps = sampler.steps()
        while True:
            before = self._clock.monotonic()
            ended = await self._store.offload(partial(next, steps, _ENDED)) is _ENDED
            self._check(partition, begun)
            if ended:
                return
            await self._clock.sleep((self._clock.monotonic() - before) * REST)

    def _led(self, number: PartitionId, wanted: KeyRange) -> Partition:
        """The partition. Raises NotOwned, Corrupt, LeaseOver."""
        partition = self._store.local(number)
        if partition is None:
            raise NotOwned(wanted.start)
        start = max(wanted.start, partition.range.start)
        if not partition.range.contains(start) or (wanted.end is not None and wanted.end < partition.range.start):
            raise NotOwned(wanted.start)
        self._check(partition, partition.range)
        return partition

    def _check(self, partition: Partition, begun: KeyRange) -> None:
        """Raises NotOwned, Corrupt, LeaseOver, unless this node leads the partition, and its range is what it was."""
        if self._store.table.owner(begun.start) is not partition or partition.range != begun:
            raise NotOwned(begun.start)
        check_lease(partition, self._clock.monotonic())

    @contextmanager
    def _one(self) -> Iterator[None]:
        if self._running >= MOST_AT_ONCE:
            raise QueueFull(f"{self._running} ranges are being measured, which is the most", RETRY_SECONDS)
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1
