"""Single writes and bulk inserts: checks what must hold, gives the etag, appends to the commit group.

Everything here runs in one step of the event loop, so that what was checked still holds when it is appended. The caller
then waits for `Committer.durable`.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from enum import IntEnum
from itertools import accumulate, repeat
from typing import NamedTuple

from dstk_storage.domain import layout
from dstk_storage.domain.commit import Committer, Group, Head
from dstk_storage.domain.errors import EtagDiffers, Exists, Missing
from dstk_storage.domain.partition import Estimate, Partition, PartitionTable


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

    def __init__(self, table: PartitionTable, committer: Committer) -> None:
        self.table = table
        """Replaced whole when the map changes."""
        self._committer = committer

    def put(self, key: bytes, value: bytes, condition: int, if_etag: int, ttl_ms: int, epoch: int, now_ms: int) -> int:
        """Appends a put and returns its etag. Raises NotOwned, Corrupt, Exists, EtagDiffers, QueueFull, ReadOnly."""
        partition = self.table.owner(key, epoch)
        size = len(key) + len(value)
        group = self._committer.admit(size)
        estimate = partition.estimate
        if condition:
            head = self._check(key, condition, if_etag, now_ms)
            _count_put(estimate, head, size, 1)
        elif partition.sequence % Estimate.SAMPLE == 0:
            _count_put(estimate, self._committer.newest(key), size, Estimate.SAMPLE)
        return _append_put(group, partition, key, value, now_ms, now_ms + ttl_ms if ttl_ms else 0)

    def delete(self, key: bytes, condition: int, if_etag: int, epoch: int, now_ms: int) -> int:
        """Appends a deletion and returns its sequence number. Raises as `put`, and Missing."""
        partition = self.table.owner(key, epoch)
        group = self._committer.admit(len(key))
        head = self._check(key, condition, if_etag, now_ms)
        if head is None:
            raise Missing(key)
        return _append_delete(group, partition, key, head)

    def bulk_insert(
        self, keys: Sequence[bytes], values: Sequence[bytes], ttl_ms: int, epoch: int, now_ms: int, *, if_absent: bool
    ) -> BulkResult:
        """Appends records from the front for as long as they belong to the partition of the first key, fit into the
        queue and meet no record where `if_absent` forbids it. `keys` ascend strictly. Raises NotOwned, Corrupt,
        QueueFull, ReadOnly when nothing at all can go in.
        """
        partition = self.table.owner(keys[0], epoch)
        room = self._committer.room(len(keys[0]) + len(values[0]))
        end = partition.range.end
        belong = len(keys) if end is None or keys[-1] < end else bisect_left(keys, end)
        stop = BulkStop.COMPLETE if belong == len(keys) else BulkStop.PARTITION_END
        sizes = [len(key) + len(value) for key, value in zip(keys[:belong], values, strict=False)]
        fit = _fitting(sizes, room)
        if fit < belong:
            belong, stop = fit, BulkStop.OVERLOADED
        current_etag = 0
        if if_absent and (met := self._first_live(keys[:belong], now_ms)) is not None:
            belong, current_etag, stop = *met, BulkStop.KEY_EXISTS
        first_etag = partition.sequence + 1
        if belong:
            self._count_run(partition, keys[:belong], sizes, sampled=not if_absent)
            expires_at_ms = now_ms + ttl_ms if ttl_ms else 0
            group = self._committer.open_group()
            _append_run(group, partition, keys[:belong], values[:belong], sizes[:belong], now_ms, expires_at_ms)
        return BulkResult(belong, first_etag, stop, current_etag)

    def expire(self, key: bytes, expires_at_ms: int) -> None:
        """Appends the removal of an expiry index entry, and of its record if it still expires at that time.

        Keys of other nodes are left alone: their entries go with their range. Raises QueueFull, ReadOnly.
        """
        group = self._committer.admit(len(key))
        partition = self.table.owner(key)
        head = self._committer.newest(key)
        if head is not None and head[1] == expires_at_ms:
            _append_delete(group, partition, key, head)
        group.batch.delete(layout.expiry_key(expires_at_ms, key))

    def _first_live(self, keys: Sequence[bytes], now_ms: int) -> tuple[int, int] | None:
        """Position and etag of the first live record among the keys."""
        for at, key in enumerate(keys):
            if (head := self._live(key, now_ms)) is not None:
                return at, head[0]
        return None

    def _count_run(self, partition: Partition, keys: Sequence[bytes], sizes: Sequence[int], *, sampled: bool) -> None:
        """Keeps the estimate: without a sample it is known that all are new."""
        if not sampled:
            partition.estimate.changed(len(keys), sum(sizes[: len(keys)]))
            return
        begin = -partition.sequence % Estimate.SAMPLE
        for key, size in zip(keys[begin :: Estimate.SAMPLE], sizes[begin :: Estimate.SAMPLE], strict=False):
            _count_put(partition.estimate, self._committer.newest(key), size, Estimate.SAMPLE)

    def _live(self, key: bytes, now_ms: int) -> Head | None:
        head = self._committer.newest(key)
        return None if head is None or 0 < head[1] <= now_ms else head

    def _check(self, key: bytes, condition: int, if_etag: int, now_ms: int) -> Head | None:
        head = self._live(key, now_ms)
        if condition == Condition.IF_ABSENT and head is not None:
            raise Exists(head[0])
        if condition == Condition.IF_ETAG and (head is None or head[0] != if_etag):
            raise EtagDiffers(0 if head is None else head[0])
        return head


def _append_put(group: Group, partition: Partition, key: bytes, value: bytes, now_ms: int, expires_at_ms: int) -> int:
    etag = partition.sequence = partition.sequence + 1
    size = len(key) + len(value)
    group.batch.put(layout.DATA + key, layout.encode_record(value, etag, now_ms, expires_at_ms))
    if expires_at_ms:
        group.batch.put(layout.expiry_key(expires_at_ms, key), b"")
    group.pending[key] = (etag, expires_at_ms, size)
    group.touched.add(partition)
    group.bytes += size
    partition.estimate.drift += 1
    partition.activity.writes += 1
    return etag


def _append_run(
    group: Group,
    partition: Partition,
    keys: Sequence[bytes],
    values: Sequence[bytes],
    sizes: Sequence[int],
    now_ms: int,
    expires_at_ms: int,
) -> None:
    """As `_append_put` for many records of one partition; a third faster, since what they share is done once."""
    etags = range(partition.sequence + 1, partition.sequence + 1 + len(keys))
    put, data, encode = group.batch.put, layout.DATA, layout.encode_record
    for key, value, etag in zip(keys, values, etags, strict=True):
        put(data + key, encode(value, etag, now_ms, expires_at_ms))
    if expires_at_ms:
        for key in keys:
            put(layout.expiry_key(expires_at_ms, key), b"")
    group.pending.update(zip(keys, zip(etags, repeat(expires_at_ms), sizes, strict=False), strict=True))
    group.touched.add(partition)
    group.bytes += sum(sizes)
    partition.sequence = etags[-1]
    partition.estimate.drift += len(keys)
    partition.activity.writes += len(keys)


def _fitting(sizes: Sequence[int], room: tuple[int, int]) -> int:
    """How many from the front fit into so many writes and bytes."""
    writes, left = room
    if len(sizes) <= writes and sum(sizes) <= left:
        return len(sizes)
    return min(writes, bisect_right(list(accumulate(sizes)), left))


def _append_delete(group: Group, partition: Partition, key: bytes, head: Head) -> int:
    etag = partition.sequence = partition.sequence + 1
    group.batch.delete(layout.DATA + key)
    if head[1]:
        group.batch.delete(layout.expiry_key(head[1], key))
    group.pending[key] = (0, 0, 0)
    group.touched.add(partition)
    group.bytes += len(key)
    partition.estimate.changed(-1, -head[2])
    partition.estimate.drift += 1
    partition.activity.writes += 1
    return etag


def _count_put(estimate: Estimate, head: Head | None, size: int, weight: int) -> None:
    if head is None:
        estimate.changed(1, size, weight)
    else:
        estimate.changed(0, size - head[2], weight)
