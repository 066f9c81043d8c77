"""A batch: writes of one partition, in order, that are applied together. Followers get it as one entry of the log.

Every batch has one life, whoever began it:

    GATHERING ──> PROPOSED ──> REPLICATED ──> COMMITTED
        │             │             │
        └─────────────┴─────────────┴───────> FAILED

    GATHERING   takes writes: their numbers are assigned, their preconditions are checked        WriteQueue
    PROPOSED    closed: it has its place in the log and is on its way to the followers           Proposer
    REPLICATED  all required followers have it on disk, and this node's disk may take it         GroupCommitter
    COMMITTED   on this disk too: reads show it, and callers are answered
    FAILED      it ended otherwise; `failure` says how. Followers may have it all the same, unless it was still gathering

A follower's batch begins as REPLICATED: its primary has given it its place, and this disk is one of those that it waits for.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Protocol

from dstk_keytypes import PartitionId
from dstk_service.trace import SPAN_ID_BYTES, Span, TraceContext, derived_id
from dstk_storage.domain.activity import Activity
from dstk_storage.domain.admission import Admission
from dstk_storage.domain.batch_trace import BatchTrace, Tracing
from dstk_storage.domain.errors import StorageError
from dstk_storage.domain.estimate import Estimate
from dstk_storage.domain.history import Position
from dstk_storage.domain.log import Entry, PartitionLog

Head = tuple[int, int, int]
"""(etag, expires_at_ms, bytes of key and value) of a key's newest record; etag 0: deleted."""

Outcome = StorageError | None
"""How a batch ended: None when it is on disk."""


class BatchState(IntEnum):
    """How far a batch is. See the module."""

    GATHERING = 0
    PROPOSED = 1
    REPLICATED = 2
    COMMITTED = 3
    FAILED = 4


GATHERING, PROPOSED, REPLICATED, COMMITTED, FAILED = BatchState

NEXT_STATES = {
    GATHERING: (PROPOSED, FAILED),
    PROPOSED: (REPLICATED, FAILED),
    REPLICATED: (COMMITTED, FAILED),
    COMMITTED: (),
    FAILED: (),
}
"""The legal transitions."""


class PartitionOnDisk(Protocol):
    """A partition as far as its batches and the disk are concerned."""

    id: PartitionId
    epoch: int
    log: PartitionLog
    dropped: bool
    """The node no longer holds it: its batches are left out of the engine."""
    removed: int
    garbage: int
    """Bytes that removed records still take on disk, roughly."""
    activity: Activity
    estimate: Estimate

    def abandon(self, reason: StorageError) -> None:
        """Fails its batches that this disk was not given."""


@dataclass(slots=True, eq=False)
class Batch:
    """Invariants: `keys` and `records` have one entry a write, whose sequence numbers go from `first` on without a gap. `state`
    changes by `advance` and `end` alone, and only along NEXT_STATES.
    """

    partition: PartitionOnDisk
    first: int
    epoch: int = 0
    """The epoch that the writes belong to. Known when it is proposed."""
    keys: list[bytes] = field(default_factory=list)
    records: list[bytes] = field(default_factory=list)
    """Encoded records, or markers of removals (layout.py)."""
    heads: dict[bytes, Head] = field(default_factory=dict)
    """What the next write of a key finds."""
    bytes: int = 0
    """Of keys and values."""
    state: BatchState = GATHERING
    failure: Outcome = None
    admission: Admission | None = None
    """Where its writes are counted while it gathers."""
    generation: int = 0
    """That of the partition's log, when the disk was given the batch."""
    on_failure: Callable[["Batch"], None] | None = None
    """Called in the step in which it fails: once the disk has recovered, the log must not reach beyond what is on it. A future
    for each batch would cost more than everything else that its commit needs.
    """
    opened: float | None = None
    """When its first write came. Monotonic seconds; None: it is a follower's."""
    reaped: int = 0
    """How many of its writes remove what has expired: no caller has asked for them."""
    trace: BatchTrace | None = None
    """None: none of its writes is traced."""
    _waiters: "list[asyncio.Future[None]] | None" = None

    @classmethod
    def of_entry(cls, partition: PartitionOnDisk, entry: Entry) -> "Batch":
        """A follower's batch."""
        keys, records = list(entry.keys), list(entry.records)
        return cls(partition, entry.first, entry.epoch, keys, records, bytes=entry.size, state=REPLICATED)

    @property
    def last(self) -> int:
        """Sequence number of the last write."""
        return self.first + len(self.keys) - 1

    @property
    def position(self) -> Position:
        """The position of a replica that has applied it."""
        return Position(self.epoch, self.last)

    @property
    def has_ended(self) -> bool:
        """Whether nothing more happens to it."""
        return self.state >= COMMITTED

    @property
    def is_stale(self) -> bool:
        """Whether the partition's log has been reset since the disk was given the batch: it is no part of that log."""
        return self.generation != self.partition.log.generation

    def advance(self, state: BatchState) -> None:
        """Moves to the next state. What leaves GATHERING is no longer counted as waiting."""
        assert state in NEXT_STATES[self.state], f"{self.state.name} -> {state.name}"
        if self.state is GATHERING and self.admission is not None:
            self.admission.release(len(self.keys), self.bytes)
        if self.trace is not None:
            self.trace.leave(self.state.name)
        self.state = state

    def end(self, failure: Outcome) -> None:
        """Ends it, and tells those who wait."""
        self.failure = failure
        self.advance(COMMITTED if failure is None else FAILED)
        if failure is not None and self.opened is not None:
            self.partition.estimate.doubt_writes(len(self.keys))
        if failure is not None and self.on_failure is not None:
            self.on_failure(self)
        if self.trace is not None:
            reason = "" if failure is None else type(failure).__name__
            self.trace.end(self.partition.id, len(self.keys), self.bytes, reason)
        for waiter in self._waiters or ():
            if not waiter.done():
                waiter.set_result(None)

    def join(self, operation: TraceContext, tracing: Tracing) -> TraceContext:
        """Makes the batch part of the trace of an operation, or links it to one more. Returns the context of its own span."""
        if self.trace is None:
            span_id = derived_id(SPAN_ID_BYTES, operation.span_id, self.partition.id, self.first)
            self.trace = BatchTrace(tracing, Span.under(operation, tracing.monotonic(), span_id))
        self.trace.operations.append(operation)
        return self.trace.span.context

    @property
    def context(self) -> TraceContext | None:
        """The context that goes along with it; None: it is not traced."""
        return None if self.trace is None else self.trace.span.context

    async def outcome(self) -> Outcome:
        """Waits until it has ended, and returns how. It is never raised: nobody may be waiting."""
        if self.state < COMMITTED:
            await self.ended()
        return self.failure

    def ended(self) -> "asyncio.Future[None]":
        """Done when it has ended. It is the caller's own: to cancel it disturbs no one else.

        A batch makes no future before it is asked for one. Batches of one engine write end together, so that whoever waits for
        a thousand of them needs one: a thousand would cost as much as all the rest of their writes.
        """
        waiter = asyncio.get_running_loop().create_future()
        if self.has_ended:
            waiter.set_result(None)
        elif self._waiters is None:
            self._waiters = [waiter]
        else:
            self._waiters.append(waiter)
        return waiter
