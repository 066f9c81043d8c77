"""Group commit: one synced engine write for everything that waits.

Invariants:
 1. Writes reach the disk in the order in which they were appended, in groups; a group is applied whole or not at all.
 2. While a group is on its way to disk, the next one gathers; at most these two exist.
 3. A precondition sees the writes ahead of it, on disk or not (`newest`). A caller who was told of such a write must wait
    until it is `durable`, or a crash could take back what it was told.
 4. With the records of a group go the sequence numbers of the partitions that it touches, so a restart goes on counting
    above every etag that was ever given out.
 5. After a failed write nothing more is written until `recovered`: what gathered meanwhile is refused, since it may rest on
    the lost group, and the engine's log could end in a torn record.

A write per fsync would give 1,000 writes/s on a disk whose fsync takes 1 ms, however many callers there are; a timer that
collects for a while would cost a lone caller that while. Gathering during the fsync before costs neither.
"""

import asyncio
import logging
from collections.abc import Coroutine
from dataclasses import dataclass, field
from functools import partial

from dstk_storage.domain import layout
from dstk_storage.domain.errors import CommitFailed, QueueFull, ReadOnly, StorageError
from dstk_storage.domain.partition import Partition
from dstk_storage.ports import Batch, Engine, EngineError, Offload

log = logging.getLogger(__name__)

Head = tuple[int, int, int]
"""(etag, expires_at_ms, bytes of key and value) of a key's newest record; etag 0: deleted."""

Outcome = StorageError | None
"""How a group ended: None when it is on disk."""


@dataclass(frozen=True, slots=True)
class QueueLimits:
    """How much may wait for the disk at one moment."""

    writes: int = 200_000
    bytes: int = 64 << 20


@dataclass(slots=True, eq=False)
class Group:
    """Writes that go to disk together. `done` gives the outcome and is never an exception: nobody may be waiting."""

    batch: Batch
    done: asyncio.Future[Outcome]
    pending: dict[bytes, Head] = field(default_factory=dict)
    touched: set[Partition] = field(default_factory=set)
    bytes: int = 0


class Committer:
    """Gathers writes and brings them to disk; `run` is its loop."""

    def __init__(self, engine: Engine, offload: Offload, limits: QueueLimits) -> None:
        self._engine = engine
        self._offload = offload
        self._limits = limits
        self._gathering: Group | None = None
        self._in_flight: Group | None = None
        self._wake = asyncio.Event()
        self._refusal: StorageError | None = None
        self.failed = False
        """True from a failed write until `recovered`."""

    def admit(self, size: int) -> Group:
        """The gathering group, if it can take `size` more bytes. Raises QueueFull, ReadOnly."""
        if self._refusal is not None:
            raise self._refusal
        group = self._gathering
        if group is None:
            group = self.open_group()
        elif group.bytes + size > self._limits.bytes or len(group.pending) >= self._limits.writes:
            raise QueueFull(f"{len(group.pending)} writes of {group.bytes} bytes wait for the disk", 0.05)
        return group

    def room(self, size: int) -> tuple[int, int]:
        """How many writes and bytes the gathering group can still take, at least one write of `size` bytes. Raises
        QueueFull, ReadOnly.
        """
        group = self.admit(size)
        left = self._limits.bytes - group.bytes
        return self._limits.writes - len(group.pending), max(left, size)

    def open_group(self) -> Group:
        """The gathering group, whatever its size and even on a read-only node: for metadata and clean-up."""
        if self._gathering is None:
            done = asyncio.get_running_loop().create_future()
            self._gathering = Group(self._engine.batch(), done)
            self._wake.set()
        return self._gathering

    def newest(self, key: bytes) -> Head | None:
        """What the next write of `key` will find: pending or stored, expired or not. Raises EngineError."""
        for group in (self._gathering, self._in_flight):
            if group is not None and (head := group.pending.get(key)) is not None:
                return head if head[0] else None
        raw = self._engine.get(layout.DATA + key)
        if raw is None:
            return None
        stored = layout.decode_record(raw)
        return stored.etag, stored.expires_at_ms, len(key) + len(stored.value)

    def durable(self) -> Coroutine[None, None, None]:
        """Waits until everything that was appended before this call is on disk. Raises CommitFailed, ReadOnly.

        What to wait for is fixed by the call, not by the `await`: a group may have failed and gone by then.
        """
        group = self._gathering or self._in_flight
        return _settled(None if group is None else group.done)

    async def settle(self) -> None:
        """Waits until nothing is on its way to disk any more, however it ended."""
        while (group := self._gathering or self._in_flight) is not None:
            await asyncio.shield(group.done)
            await asyncio.sleep(0)

    def refuse_writes(self, reason: StorageError | None) -> None:
        """Makes `admit` raise `reason`; None lets writes in again (unless a write has failed)."""
        if not self.failed:
            self._refusal = reason

    def recovered(self) -> None:
        """The engine has been reopened: writes are welcome again."""
        self.failed = False
        self._refusal = None

    async def run(self) -> None:
        """Commits groups until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while (group := self._gathering) is not None:
                self._gathering, self._in_flight = None, group
                await self._commit(group)
                self._in_flight = None

    async def _commit(self, group: Group) -> None:
        for partition in group.touched:
            group.batch.put(layout.sequence_key(partition.id), layout.encode_sequence(partition.sequence))
        outcome: Outcome = None
        try:
            await self._offload(partial(self._engine.write, group.batch))
        except EngineError as error:
            outcome = self._fail(error)
        if not group.done.done():
            group.done.set_result(outcome)

    def _fail(self, error: EngineError) -> CommitFailed:
        log.error("a write failed: refusing writes until the engine is reopened", extra={"error": str(error)})
        self.failed = True
        self._refusal = ReadOnly(f"a write to disk failed ({error}); the node tries to recover")
        if self._gathering is not None:
            self._gathering.done.set_result(self._refusal)
            self._gathering = None
        return CommitFailed(f"the disk failed during the write: {error}")


async def _settled(done: asyncio.Future[Outcome] | None) -> None:
    # shielded: a caller that goes away must not cancel what others wait for
    if done is not None and (failure := await asyncio.shield(done)) is not None:
        raise failure
