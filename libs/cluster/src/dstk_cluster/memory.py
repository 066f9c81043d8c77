"""The in-memory twin of the coordinator, with faults that tests inject."""

import asyncio
import itertools
from collections.abc import AsyncGenerator, Sequence

from typing_extensions import override

from dstk_cluster.port import (
    Compacted,
    Coordinator,
    CoordinatorUnavailable,
    Delete,
    Entry,
    Put,
    RevisionIs,
    TxnResult,
    ValueIs,
    WatchBatch,
    WatchLost,
)
from dstk_service.clock import Clock, SystemClock


class MemoryCoordinator(Coordinator):
    """A coordinator in memory. `unreachable`, `break_watches`, `compact` and `expire` inject faults."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._data: dict[bytes, tuple[Entry, int]] = {}
        self._history: list[WatchBatch] = []
        self._compacted = 0
        self._revision = 1
        self._leases: dict[int, tuple[float, int]] = {}
        self._lease_ids = itertools.count(1)
        self._changed = asyncio.Event()
        self._generation = 0
        self.unreachable = False

    @override
    async def get(self, key: bytes) -> Entry | None:
        await self._reach()
        found = self._data.get(key)
        return None if found is None else found[0]

    @override
    async def range(self, prefix: bytes) -> tuple[list[Entry], int]:
        await self._reach()
        return [entry for key, (entry, _) in sorted(self._data.items()) if key.startswith(prefix)], self._revision

    @override
    async def txn(self, compares: Sequence[RevisionIs | ValueIs], changes: Sequence[Put | Delete]) -> TxnResult:
        await self._reach()
        if not all(map(self._holds, compares)):
            return TxnResult(succeeded=False, revision=self._revision)
        for change in changes:
            if isinstance(change, Put) and change.lease and change.lease not in self._leases:
                raise CoordinatorUnavailable("requested lease not found")
        self._apply(changes)
        return TxnResult(succeeded=True, revision=self._revision)

    def _holds(self, compare: RevisionIs | ValueIs) -> bool:
        found = self._data.get(compare.key)
        if isinstance(compare, ValueIs):
            return found is not None and found[0].value == compare.value
        return (0 if found is None else found[0].revision) == compare.revision

    @override
    async def watch(self, prefix: bytes, from_revision: int) -> AsyncGenerator[WatchBatch, None]:
        if self.unreachable:
            raise WatchLost("unreachable")
        generation, following = self._generation, from_revision
        while True:
            if following <= self._compacted:
                raise Compacted(f"compacted up to revision {self._compacted}")
            waiting = [batch for batch in self._history if batch.revision >= following]
            for batch in waiting:
                following = batch.revision + 1
                if (seen := _under(batch, prefix)) is not None:
                    yield seen
            if waiting:
                continue  # the reader was busy: there may be newer changes
            self._changed.clear()
            await self._changed.wait()
            if generation != self._generation:
                raise WatchLost("broken by the test")

    @override
    async def grant_lease(self, seconds: int) -> int:
        await self._reach()
        lease = next(self._lease_ids)
        self._leases[lease] = (self._clock.monotonic() + seconds, seconds)
        return lease

    @override
    async def keep_alive(self, lease: int) -> bool:
        await self._reach()
        if lease not in self._leases:
            return False
        seconds = self._leases[lease][1]
        self._leases[lease] = (self._clock.monotonic() + seconds, seconds)
        return True

    @override
    async def revoke(self, lease: int) -> None:
        await self._reach()
        self.expire(lease)

    @override
    async def close(self) -> None:
        pass

    def expire(self, lease: int) -> None:
        """Ends a lease now."""
        if self._leases.pop(lease, None) is not None:
            self._apply([Delete(key) for key, (_, owner) in self._data.items() if owner == lease])

    def break_watches(self) -> None:
        """Makes every watch raise WatchLost."""
        self._generation += 1
        self._changed.set()

    def compact(self) -> None:
        """Deletes the history up to now."""
        self._compacted = self._revision
        self._history.clear()

    async def _reach(self) -> None:
        await asyncio.sleep(0)
        if self.unreachable:
            raise CoordinatorUnavailable("unreachable")
        now = self._clock.monotonic()
        for lease in [lease for lease, (ends, _) in self._leases.items() if ends <= now]:
            self.expire(lease)

    def _apply(self, changes: Sequence[Put | Delete]) -> None:
        effective = [change for change in changes if isinstance(change, Put) or change.key in self._data]
        if not effective:
            return
        self._revision += 1
        puts: dict[bytes, Entry] = {}
        deletes: list[bytes] = []
        for change in effective:
            if isinstance(change, Put):
                puts[change.key] = Entry(change.key, change.value, self._revision)
                self._data[change.key] = (puts[change.key], change.lease)
            else:
                del self._data[change.key]
                deletes.append(change.key)
        self._history.append(WatchBatch(self._revision, tuple(puts.values()), tuple(deletes)))
        self._changed.set()


def _under(batch: WatchBatch, prefix: bytes) -> WatchBatch | None:
    puts = tuple(entry for entry in batch.puts if entry.key.startswith(prefix))
    deletes = tuple(key for key in batch.deletes if key.startswith(prefix))
    return WatchBatch(batch.revision, puts, deletes) if puts or deletes else None
