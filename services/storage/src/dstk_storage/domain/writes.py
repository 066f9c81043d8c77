"""Single writes and bulk inserts: checks what must hold, gives the etag, appends to the partition's batch.

Everything here runs in one step of the event loop, so that what was checked still holds when it is appended. The caller
then waits for its receipt.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from enum import IntEnum
from itertools import accumulate, repeat
from typing import NamedTuple

from dstk_service.observe import NULL, Observer
from dstk_service.trace import TraceContext
from dstk_storage.domain import layout
from dstk_storage.domain.activity import SAMPLE
from dstk_storage.domain.batch import Batch, Head
from dstk_storage.domain.batch_trace import Tracing
from dstk_storage.domain.errors import EtagDiffers, Exists, LeaseOver, Missing
from dstk_storage.domain.lease import FOR_EVER
from dstk_storage.domain.partition import Partition, check_lease
from dstk_storage.domain.receipt import Receipt
from dstk_storage.domain.store import Store
from dstk_storage.domain.write_queue import WriteQueue


class Condition(IntEnum):
    """What must hold for a write; the numbers are those of the wire."""

    NONE = 0
    IF_ABSENT = 1
    IF_ETAG = 2


class BulkStop(IntEnum):
    """Why a bulk insert stopped; the numbers are those of the wire."""

    COMPLETE = 1
    PARTITION_END = 2
    KEY_EXISTS = 3
    OVERLOADED = 4


class BulkResult(NamedTuple):
    """The first `inserted` records went in with the etags from `first_etag` on, one by one."""

    inserted: int
    first_etag: int
    stop: BulkStop
    current_etag: int = 0


class Writer:
    """The write side of a node."""

    def __init__(
        self, store: Store, queue: WriteQueue, monotonic: Callable[[], float], observer: Observer = NULL
    ) -> None:
        self._store, self._engine = store, store.engine
        self._queue = queue
        self._monotonic = monotonic
        self._tracing = Tracing(observer, monotonic)

    def put(
        self,
        key: bytes,
        value: bytes,
        condition: int,
        if_etag: int,
        ttl_ms: int,
        epoch: int,
        now_ms: int,
        receipt: Receipt,
    ) -> int:
        """Appends a put and returns its etag. The answer counts when `receipt` is durable, that of a failed precondition, too.
        Raises NotOwned, Corrupt, Exists, EtagDiffers, QueueFull, ReadOnly.
        """
        partition = self._owner(key, epoch)
        size = len(key) + len(value)
        self._queue.admit(size)
        estimate = partition.estimate
        if condition:
            newest = self._newest(partition, key)
            _check(partition, _live(newest, now_ms), condition, if_etag, receipt)
            estimate.put(None if newest is None else newest[2], size)
        else:
            blind = estimate.blind
            blind.size += size
            count = blind.count = blind.count + 1
            if count >= blind.next:
                newest = self._newest(partition, key)
                blind.sample(None if newest is None else newest[2])
        expires_at_ms = now_ms + ttl_ms if ttl_ms else 0
        batch = self._queue.gather(partition, 1, size, receipt)
        etag = partition.log.assign(1)
        batch.keys.append(key)
        batch.records.append(layout.encode_record(value, etag, now_ms, expires_at_ms))
        batch.heads[key] = (etag, expires_at_ms, size)
        activity = partition.activity
        activity.written_bytes += size
        writes = activity.writes = activity.writes + 1
        if not writes % SAMPLE:
            activity.sample(key)
        return etag

    def delete(self, key: bytes, condition: int, if_etag: int, epoch: int, now_ms: int, receipt: Receipt) -> int:
        """Appends a deletion and returns its sequence number. Raises as `put`, and Missing."""
        partition = self._owner(key, epoch)
        self._queue.admit_removal(len(key))
        head = _live(self._newest(partition, key), now_ms)
        _check(partition, head, condition, if_etag, receipt)
        if head is None:
            _rest_on(partition, receipt)
            raise Missing(key)
        partition.estimate.changed(-1, -head[2])
        etag = self._remove(partition, key, head, now_ms, receipt)
        partition.activity.wrote_run([key], len(key))
        return etag

    def bulk_insert(
        self,
        keys: Sequence[bytes],
        values: Sequence[bytes],
        ttl_ms: int,
        epoch: int,
        now_ms: int,
        receipt: Receipt,
        *,
        if_absent: bool,
        expires_at_ms: Sequence[int] = (),
    ) -> BulkResult:
        """Appends records from the front for as long as they belong to the partition of the first key, fit into the
        queue and meet no record where `if_absent` forbids it. `keys` ascend strictly. `expires_at_ms`: of each record, in
        place of `ttl_ms`. Raises NotOwned, Corrupt, QueueFull, ReadOnly when nothing at all can go in.
        """
        partition = self._owner(keys[0], epoch)
        room = self._queue.room(len(keys[0]) + len(values[0]))
        end = partition.range.end
        belong = len(keys) if end is None or keys[-1] < end else bisect_left(keys, end)
        stop = BulkStop.COMPLETE if belong == len(keys) else BulkStop.PARTITION_END
        sizes = [len(key) + len(value) for key, value in zip(keys[:belong], values, strict=False)]
        fit = _fitting(sizes, room)
        if fit < belong:
            belong, stop = fit, BulkStop.OVERLOADED
        current_etag, expired = 0, list[Head]()
        if if_absent and (met := self._first_live(partition, keys[:belong], now_ms, receipt, expired)) is not None:
            belong, current_etag, stop = *met, BulkStop.KEY_EXISTS
        first_etag = partition.log.last + 1
        if belong and if_absent:
            partition.estimate.changed(belong - len(expired), sum(sizes[:belong]) - sum(head[2] for head in expired))
        elif belong:
            self._sample_run(partition, keys[:belong], sizes)
        if belong:
            expiries = expires_at_ms or repeat(now_ms + ttl_ms if ttl_ms else 0)
            size = sum(sizes[:belong])
            batch = self._queue.gather(partition, belong, size, receipt)
            partition.activity.wrote_run(keys[:belong], size)
            _append_run(partition, batch, keys[:belong], values[:belong], sizes, now_ms, expiries)
        return BulkResult(belong, first_etag, stop, current_etag)

    def expire(self, key: bytes, expires_at_ms: int, now_ms: int, receipt: Receipt) -> Partition | None:
        """Appends the removal of an expiry index entry, and of its record if it still expires at that time. Returns the
        partition of a record that is removed.

        Keys of other nodes are left alone: their entries go with their range. Raises NotOwned, QueueFull, ReadOnly.
        """
        partition = self._owner(key, 0)
        self._queue.admit_removal(len(key))
        head = self._newest(partition, key)
        if head is not None and head[1] == expires_at_ms:
            partition.estimate.reap(head[2])
            self._remove(partition, key, head, now_ms, receipt, reaped=1)
            return partition
        batch = self._queue.gather(partition, 1, len(key), receipt)
        batch.reaped += 1
        etag = partition.log.assign(1)
        batch.keys.append(key)
        batch.records.append(layout.encode_removal(etag, now_ms, expires_at_ms, index_only=True))
        return None

    def trace(self, key: bytes, etag: int, operation: TraceContext) -> TraceContext | None:
        """Makes a write that was just appended part of the trace of its operation. Returns the context of its batch. To be
        called in the step that appended it.
        """
        batch = self._store.table.owner(key).pending.batch_of(etag)
        return None if batch is None else batch.join(operation, self._tracing)

    def _owner(self, key: bytes, epoch: int) -> Partition:
        partition = self._store.table.owner(key, epoch)
        if partition.closed:
            raise LeaseOver(f"partition {partition.id} rests for a change of the map")
        if partition.lease is not FOR_EVER:
            check_lease(partition, self._monotonic())
        return partition

    def _remove(
        self, partition: Partition, key: bytes, head: Head, now_ms: int, receipt: Receipt, reaped: int = 0
    ) -> int:
        batch = self._queue.gather(partition, 1, len(key), receipt)
        batch.reaped += reaped
        etag = partition.log.assign(1)
        batch.keys.append(key)
        batch.records.append(layout.encode_removal(etag, now_ms, head[1]))
        batch.heads[key] = (0, 0, 0)
        return etag

    def _first_live(
        self, partition: Partition, keys: Sequence[bytes], now_ms: int, receipt: Receipt, expired: list[Head]
    ) -> tuple[int, int] | None:
        """Position and etag of the first live record among the keys. Adds expired records before it to `expired`."""
        for at, key in enumerate(keys):
            if (head := self._newest(partition, key)) is None:
                continue
            if _live(head, now_ms) is None:
                expired.append(head)
                continue
            _rest_on(partition, receipt)
            return at, head[0]
        return None

    def _sample_run(self, partition: Partition, keys: Sequence[bytes], sizes: Sequence[int]) -> None:
        """Counts blind writes in a row, and looks some of them up."""
        blind = partition.estimate.blind
        begun, end = blind.count, blind.count + len(keys)
        blind.size += sum(sizes[: len(keys)])
        while blind.next <= end:
            blind.count = blind.next
            newest = self._newest(partition, keys[blind.count - begun - 1])
            blind.sample(None if newest is None else newest[2])
        blind.count = end

    def _newest(self, partition: Partition, key: bytes) -> Head | None:
        """What the next write of `key` finds: pending or stored, expired or not. Raises EngineError."""
        if (head := partition.pending.head(key)) is not None:
            return head if head[0] else None
        raw = self._engine.get(layout.DATA + key)
        if raw is None:
            return None
        stored = layout.decode_record(raw)
        return stored.etag, stored.expires_at_ms, len(key) + len(stored.value)


def _live(head: Head | None, now_ms: int) -> Head | None:
    return None if head is None or 0 < head[1] <= now_ms else head


def _check(partition: Partition, head: Head | None, condition: int, if_etag: int, receipt: Receipt) -> None:
    """Raises Exists, EtagDiffers. `head`: of the live record."""
    if condition == Condition.IF_ABSENT and head is not None:
        _rest_on(partition, receipt)
        raise Exists(head[0])
    if condition == Condition.IF_ETAG and (head is None or head[0] != if_etag):
        _rest_on(partition, receipt)
        raise EtagDiffers(0 if head is None else head[0])


def _rest_on(partition: Partition, receipt: Receipt) -> None:
    """The caller is told of something that a pending write may have done."""
    if (newest := partition.pending.newest()) is not None:
        receipt.rest_on(newest)


def _append_run(
    partition: Partition,
    batch: Batch,
    keys: Sequence[bytes],
    values: Sequence[bytes],
    sizes: Sequence[int],
    now_ms: int,
    expiries: Iterable[int],
) -> None:
    """Many records at once: a third faster than one by one, since what they share is done once."""
    first = partition.log.assign(len(keys))
    etags = range(first, first + len(keys))
    batch.keys += keys
    batch.records += map(layout.encode_record, values, etags, repeat(now_ms), expiries)
    batch.heads.update(zip(keys, zip(etags, expiries, sizes, strict=False), strict=True))


def _fitting(sizes: Sequence[int], room: tuple[int, int]) -> int:
    """How many from the front fit into so many writes and bytes."""
    writes, left = room
    if len(sizes) <= writes and sum(sizes) <= left:
        return len(sizes)
    return min(writes, bisect_right(list(accumulate(sizes)), left))
