"""Deleting what the node holds no more, in small bounded steps, remembered across a restart.

Invariants:
 1. Ranges that lie here belong to no partition that the node holds: one that it comes to hold is taken out first.
 2. Nothing is deleted while a replica is being copied into the engine (`turn`), so that a step that was decided before a
    range came back never meets what was written after.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from functools import partial
from itertools import islice
from typing import NamedTuple

from dstk_keytypes import KeyRange
from dstk_service.clock import Clock
from dstk_storage.domain import layout
from dstk_storage.domain.converge import remainder
from dstk_storage.ports import Engine, EngineError, Offload

log = logging.getLogger(__name__)

STEP_RECORDS = 1000
IDLE_SHARE = 0.8
"""Of the time the deletion rests, so that callers hardly notice it."""


class OrphanedRanges:
    """The ranges that are still to be deleted, and their deletion."""

    def __init__(self, engine: Engine, offload: Offload, remember: Callable[[bytes, bytes], None]) -> None:
        self._engine = engine
        self._offload = offload
        self._remember = remember
        self.ranges: list[KeyRange] = []
        self.emptied: list[KeyRange] = []
        """Ranges that were deleted, and whose space the engine has not given back yet."""
        self.turn = asyncio.Lock()
        """Held by whoever writes or deletes whole ranges past the commit pipeline."""

    def load(self, raw: bytes | None, emptied: bytes | None = None) -> None:
        """What was left when the process last ran."""
        self.ranges = [] if raw is None else layout.decode_ranges(raw)
        self.emptied = [] if emptied is None else layout.decode_ranges(emptied)

    def compacted(self, part: KeyRange) -> None:
        """The engine has given the space of a deleted range back."""
        self._set_emptied([other for other in self.emptied if other != part])

    def change(self, more: Iterable[KeyRange], held: Iterable[KeyRange]) -> None:
        """Adds ranges, and takes out those that the node holds."""
        if ranges := [*self.ranges, *more]:
            self._set(remainder(ranges, held))

    async def run(self, clock: Clock, *, every: float = 1.0) -> None:
        """Deletes what there is until cancelled."""
        while True:
            begun = clock.monotonic()
            busy = await self._guarded_step() if self.ranges else False
            await clock.sleep((clock.monotonic() - begun) * IDLE_SHARE / (1 - IDLE_SHARE) if busy else every)

    async def step(self) -> None:
        """Deletes some records of the first range; forgets the range when it is empty. Raises EngineError."""
        async with self.turn:
            if not self.ranges:
                return
            part = self.ranges[0]
            cleared = await self._offload(partial(clear, self._engine, part))
            if cleared.is_all:
                self._set([other for other in self.ranges if other != part])
                self._set_emptied([*self.emptied, part])

    async def _guarded_step(self) -> bool:
        try:
            await self.step()
        except EngineError as error:
            log.warning("deleting what moved away is put off", extra={"error": str(error)})
            return False
        return True

    def _set(self, ranges: list[KeyRange]) -> None:
        if ranges != self.ranges:
            self.ranges = ranges
            self._remember(layout.ORPHANED_RANGES, layout.encode_ranges(ranges))

    def _set_emptied(self, ranges: list[KeyRange]) -> None:
        self.emptied = ranges
        self._remember(layout.EMPTIED, layout.encode_ranges(ranges))


class Cleared(NamedTuple):
    """What a step has deleted. `is_all`: the range is empty."""

    bytes: int
    is_all: bool


def clear(engine: Engine, part: KeyRange) -> Cleared:
    """Deletes up to STEP_RECORDS records of a range with their index entries. Blocks."""
    with engine.iterate(*layout.data_bounds(part), fill_cache=False) as pairs:
        found = list(islice(pairs, STEP_RECORDS))
    target = engine.batch()
    for key, record in found:
        target.delete(key)
        if record[1]:
            target.delete(layout.expiry_key(layout.expires_at(record), key[1:]))
    if found:
        engine.write(target)
    return Cleared(sum(len(key) + len(record) for key, record in found), len(found) < STEP_RECORDS)
