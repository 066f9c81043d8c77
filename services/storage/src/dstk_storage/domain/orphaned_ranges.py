"""Deletes ranges that no longer belong to this node, in small bounded steps; they are remembered across a restart.

Invariants:
 1. No listed range overlaps a partition that the node holds: a range that comes back is removed from the list first.
 2. Nothing is deleted while a snapshot is written into the engine (`turn`), so a step that was decided before a range came
    back never deletes what was written after.
 3. Nothing is deleted before its range is listed on disk. The list goes to disk with the end of the partition's metadata, and
    behind every write of the partition: so no partition is on disk without its records, and no late write, nor a failed one
    that the disk kept, leaves records in a range that is no longer listed.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from functools import partial
from itertools import islice
from typing import NamedTuple

from dstk_keytypes import KeyRange
from dstk_service.clock import Clock
from dstk_service.logs.fields import LogFields
from dstk_storage.domain import layout
from dstk_storage.domain.batch import Outcome
from dstk_storage.domain.converge import remainder
from dstk_storage.ports import Engine, EngineError, Offload

log = logging.getLogger(__name__)

ExpiryEntry = tuple[int, bytes]
"""Milliseconds since the epoch at which a key expires, and the key."""

Remember = Callable[[bytes, bytes], "asyncio.Future[Outcome]"]
"""Writes other metadata (commit.py): engine key and value. Gives the outcome."""

STEP_RECORDS = 1000
IDLE_SHARE = 0.8
"""Share of the time that the deletion pauses, so that callers hardly notice it."""


class OrphanedRanges:
    """The ranges that remain to be deleted, and their deletion."""

    def __init__(self, engine: Engine, offload: Offload, remember: Remember) -> None:
        self._engine = engine
        self._offload = offload
        self._remember = remember
        self._listing: asyncio.Future[Outcome] | None = None
        """Done when the disk has been given all ranges, or has not taken them; None: they are on it."""
        self.ranges: list[KeyRange] = []
        self.emptied: list[KeyRange] = []
        """Deleted ranges whose space the engine has not reclaimed yet."""
        self.turn = asyncio.Lock()
        """Held while whole ranges are written or deleted outside the commit pipeline."""

    def load(self, raw: bytes | None, emptied: bytes | None = None) -> None:
        """Restores the lists of the last run."""
        self.ranges = [] if raw is None else layout.decode_ranges(raw)
        self.emptied = [] if emptied is None else layout.decode_ranges(emptied)

    def compacted(self, part: KeyRange) -> None:
        """The engine has reclaimed the space of a deleted range."""
        self._set_emptied([other for other in self.emptied if other != part])

    def change(self, more: Iterable[KeyRange], held: Iterable[KeyRange]) -> None:
        """Adds ranges, and removes what the node holds."""
        if ranges := [*self.ranges, *more]:
            self._listing = self._set(remainder(ranges, held)) or self._listing

    async def run(self, clock: Clock, *, every: float = 1.0) -> None:
        """Deletes the listed ranges until cancelled."""
        while True:
            begun = clock.monotonic()
            busy = await self._guarded_step() if self.ranges else False
            await clock.sleep((clock.monotonic() - begun) * IDLE_SHARE / (1 - IDLE_SHARE) if busy else every)

    async def step(self) -> bool:
        """Deletes some records of the first range, and forgets the range when it is empty; False: there is none, or not all are
        listed on disk yet. Raises EngineError.
        """
        async with self.turn:
            if not self.ranges or not self._is_listed():
                return False
            part = self.ranges[0]
            cleared = await self._offload(partial(clear, self._engine, part))
            if cleared.is_all:
                self._set([other for other in self.ranges if other != part])
                self._set_emptied([*self.emptied, part])
            return True

    async def delete_entries(self, entries: Iterable[ExpiryEntry], is_held: Callable[[bytes], bool]) -> int:
        """Deletes index entries of keys of which this node holds no replica, and returns how many. A range is deleted with the
        entries of its records; those of records that were overwritten lie elsewhere in the index. Deletes nothing while an
        orphaned range is not listed on disk. Raises EngineError.
        """
        async with self.turn:
            orphaned = [layout.expiry_key(*entry) for entry in entries if not is_held(entry[1])]
            if not orphaned or not self._is_listed():
                return 0
            await self._offload(partial(_delete, self._engine, orphaned))
        return len(orphaned)

    async def _guarded_step(self) -> bool:
        try:
            return await self.step()
        except EngineError as error:
            log.warning("the deletion of an orphaned range is postponed", extra=LogFields(error=str(error)))
            return False

    def _is_listed(self) -> bool:
        """Whether all ranges are on disk. A list that a failing disk did not take is given to it once more."""
        if self._listing is not None and self._listing.done():
            self._listing = None if self._listing.result() is None else self._write()
        return self._listing is None

    def _set(self, ranges: list[KeyRange]) -> "asyncio.Future[Outcome] | None":
        """None: that is what was set before."""
        if ranges == self.ranges:
            return None
        self.ranges = ranges
        return self._write()

    def _write(self) -> "asyncio.Future[Outcome]":
        return self._remember(layout.ORPHANED_RANGES, layout.encode_ranges(self.ranges))

    def _set_emptied(self, ranges: list[KeyRange]) -> None:
        self.emptied = ranges
        self._remember(layout.EMPTIED, layout.encode_ranges(ranges))


def _delete(engine: Engine, keys: Iterable[bytes]) -> None:
    target = engine.batch()
    for key in keys:
        target.delete(key)
    engine.write(target)


class Cleared(NamedTuple):
    """The bytes that a step has deleted. `is_all`: the range is empty now."""

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
