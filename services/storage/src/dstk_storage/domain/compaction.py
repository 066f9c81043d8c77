"""Reclaims the space of deleted records: compacts ranges that were mostly deleted, piece by piece, in the background.

LevelDB keeps deleted records until a compaction meets them, and compacts where new records arrive: a range whose records were
deleted, or expired, keeps its size for ever when nothing is written to it. The compactor takes, in this order: orphaned ranges
that were deleted; the expiry index; partitions of which a quarter was deleted, on primaries and followers alike.

Files that somebody reads while they are compacted stay until LevelDB next flushes or compacts, which on an idle node would be
never: the look after a compaction flushes.

A piece is at most 32 MiB, and at most a quarter of the free space: LevelDB writes a piece before it deletes the old one. One
piece at a time; between two the compactor pauses as long as the piece took, nine times as long while callers are active, and
not at all on a full disk. Measured on two cores with a put a millisecond: 200 MB of which 90% were deleted took 0.9 s in
pieces of 20 MB, and the slowest put 34 ms; in one call 1.4 s, and the slowest put 137 ms; pauses of four times a piece
did not change p99.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from dstk_keytypes import KeyRange
from dstk_service.clock import Clock
from dstk_service.logs.fields import LogFields
from dstk_service.observe import NULL, Observer
from dstk_storage.domain import layout
from dstk_storage.domain.errors import ReadOnly
from dstk_storage.domain.events import RangeCompacted
from dstk_storage.domain.room import Room, shown
from dstk_storage.domain.store import Store
from dstk_storage.ports import Disk, Engine, EngineError, Offload

log = logging.getLogger(__name__)

Bounds = tuple[bytes, bytes]
"""Engine keys: start inclusive, end exclusive."""

MOST_BYTES = 32 << 20
FEWEST_BYTES = 1 << 20
"""Bounds of a piece. Without four times the lower one in free space nothing is compacted."""

FREE_SHARE = 4

WORTH_BYTES = 1 << 20
WORTH_SHARE = 4
"""A range is compacted when so many bytes of it were deleted, and at least one of so many parts of its size on disk; on a full
disk the bytes alone count.
"""

LOOK_SECONDS, FULL_LOOK_SECONDS = 5.0, 1.0
BUSY_RESTS, CALM_RESTS = 9, 1
LONGEST_REST = 30.0

SOME_SECONDS = 2.0
"""Duration of one call of an operator."""

MOST_KEY_BYTES = 64
"""Length of a key that cuts a range into pieces: keys that differ later are compacted together."""

INDEX: Bounds = (layout.EXPIRY, layout.DATA)


class Compactor:
    """The background loop, and pieces on demand; one at a time. `offload`: a thread of its own, for a piece takes long."""

    def __init__(
        self, engine: Engine, offload: Offload, store: Store, disk: Disk, clock: Clock, observer: Observer = NULL
    ) -> None:
        self._observer = observer
        self._engine, self._offload = engine, offload
        self._store, self._disk, self._clock = store, disk, clock
        self._turn = asyncio.Lock()
        self._seen = 0
        self._waits = False
        self._leaves_files = False
        """Whether readers may have kept files that a compaction has replaced."""

    async def run(self) -> None:
        """Compacts ranges that are worth it until cancelled."""
        while True:
            await self._guarded()
            self._store.remember_garbage()
            await self._clock.sleep(FULL_LOOK_SECONDS if self._is_full else LOOK_SECONDS)

    async def look(self) -> None:
        """Compacts every range that is worth it now. Raises ReadOnly, EngineError."""
        if self._leaves_files:
            self._leaves_files = not await self._offload(self._engine.reclaim)
        for bounds, forget in self._due():
            await self._whole(bounds)
            forget()
            log.info("compacted", extra=LogFields(key_start=bounds[0].hex(), key_end=bounds[1].hex()))

    async def piece(self, start: bytes, stop: bytes) -> "Piece":
        """Compacts a piece from `start` on, in front of `stop`. Raises ReadOnly where there is no room for it, EngineError."""
        async with self._turn:
            free = self._disk.free_bytes()
            limit = min(MOST_BYTES, free // FREE_SHARE)
            if limit < FEWEST_BYTES:
                needed = FEWEST_BYTES * FREE_SHARE
                raise ReadOnly(
                    f"its disk has {shown(free)} left and compaction needs {shown(needed)}: free space on it"
                )
            begun = self._clock.monotonic()
            piece = await self._offload(partial(_compact, self._engine, start, stop, limit))
            seconds = self._clock.monotonic() - begun
            self._leaves_files = True
            self._observer.observe(RangeCompacted(piece.before, piece.after, seconds))
            return piece

    async def some(self, wanted: KeyRange, resume: bytes = b"") -> "Compacted":
        """Compacts for a while, without rests, from where an earlier call has ended; where all keys are wanted, the expiry
        index comes first. Raises as `piece`.
        """
        end = self._clock.monotonic() + SOME_SECONDS
        start, stop = layout.data_bounds(wanted)
        start = layout.EXPIRY if wanted == KeyRange.everything() else start
        at, before, after = min(max(start, resume), stop), 0, 0
        while at < stop and self._clock.monotonic() < end:
            piece = await self.piece(at, stop)
            self._note(at, piece)
            at, before, after = piece.end, before + piece.before, after + piece.after
        return Compacted(before, after, self._engine.approximate_size(at, stop), at if at < stop else None)

    def _note(self, start: bytes, piece: "Piece") -> None:
        """A range that an operator has compacted need not be compacted again."""
        store, freed = self._store, max(0, piece.before - piece.after)
        for part in list(store.orphaned_ranges.emptied):
            if _covers(start, piece.end, layout.data_bounds(part)):
                store.orphaned_ranges.compacted(part)
        if start < layout.DATA:
            garbage = store.committer.garbage
            garbage.index_compacted(garbage.index if piece.end >= layout.DATA else freed)
        for partition in store.locals:
            low, high = layout.data_bounds(partition.range)
            if low < piece.end and start < high:
                is_all = _covers(start, piece.end, (low, high))
                partition.compacted(partition.garbage if is_all else freed)

    def _due(self) -> Iterator[tuple[Bounds, Callable[[], None]]]:
        """Ranges, each with what notes that it has been compacted."""
        store = self._store
        for part in list(store.orphaned_ranges.emptied):
            yield layout.data_bounds(part), partial(store.orphaned_ranges.compacted, part)
        garbage = store.committer.garbage
        if self._is_worth(garbage.index, self._engine.approximate_size(*INDEX)):
            yield INDEX, partial(garbage.index_compacted, garbage.index)
        for partition in list(store.locals):
            if self._is_worth(partition.garbage, store.weigh(partition.range)):
                forget = partial(partition.compacted, partition.garbage)
                yield layout.data_bounds(partition.range), forget

    async def _whole(self, bounds: Bounds) -> None:
        start, stop = bounds
        while start < stop:
            begun = self._clock.monotonic()
            start = (await self.piece(start, stop)).end
            await self._rest(self._clock.monotonic() - begun)

    async def _rest(self, took: float) -> None:
        before, self._seen = self._seen, self._store.operations()
        rests = BUSY_RESTS if self._seen > before else CALM_RESTS
        if not self._is_full:
            await self._clock.sleep(min(took * rests, LONGEST_REST))

    def _is_worth(self, garbage: int, size: int) -> bool:
        return garbage >= WORTH_BYTES and (self._is_full or garbage * WORTH_SHARE >= size)

    @property
    def _is_full(self) -> bool:
        return self._store.committer.intake.room is not Room.AMPLE

    async def _guarded(self) -> None:
        try:
            await self.look()
            self._waits = False
        except (ReadOnly, EngineError) as error:
            if not self._waits:
                log.warning("compaction is postponed", extra=LogFields(error=str(error)))
            self._waits = True


class Piece(NamedTuple):
    """What one call of the engine has compacted: up to which engine key, and its bytes on disk before and after."""

    end: bytes
    before: int
    after: int


class Compacted(NamedTuple):
    """Bytes on disk before and after, of what is left of the range, and the engine key where to go on; None: it is done."""

    before: int
    after: int
    left: int
    resume: bytes | None


def _covers(start: bytes, end: bytes, bounds: Bounds) -> bool:
    return start <= bounds[0] and bounds[1] <= end


def _compact(engine: Engine, start: bytes, stop: bytes, limit: int) -> Piece:
    """Blocks."""
    engine.flush()  # what is in the buffer has no size yet
    end = cut(engine.approximate_size, start, stop, limit)
    before = engine.approximate_size(start, end)
    engine.compact(start, end)
    return Piece(end, before, engine.approximate_size(start, end))


def cut(size: Callable[[bytes, bytes], int], start: bytes, stop: bytes, limit: int) -> bytes:
    """A key behind `start`, at most `stop`, up to which the range has about `limit` bytes by `size`; more only where keys agree
    in their first 64 bytes. By sizes alone, for where everything was deleted there is no key to be found. Pure.
    """
    if size(start, stop) <= limit:
        return stop
    end = b""
    while len(end) < MOST_KEY_BYTES:
        behind = end + b"\0"
        if end and behind > start and size(start, behind) > limit:  # with the record under `end` it would be too much
            return end if end > start else behind
        end += bytes([_last_fitting(size, start, end, limit)])
        if end > start and size(start, end) * 2 >= limit:
            return end
    if end > start and size(start, end):
        return end
    following = next_prefix(end)
    return stop if following is None else min(following, stop)


def _last_fitting(size: Callable[[bytes, bytes], int], start: bytes, prefix: bytes, limit: int) -> int:
    """The greatest byte behind the prefix in front of which there are at most `limit` bytes."""
    low, high = 0, 255
    while low < high:
        middle = (low + high + 1) // 2
        key = prefix + bytes([middle])
        if key <= start or size(start, key) <= limit:
            low = middle
        else:
            high = middle - 1
    return low


def next_prefix(prefix: bytes) -> bytes | None:
    """The first key behind all that begin with the prefix; None: there is none."""
    stripped = prefix.rstrip(b"\xff")
    return stripped[:-1] + bytes([stripped[-1] + 1]) if stripped else None
