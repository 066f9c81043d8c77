"""Inserting any number of sorted records: several bulk inserts in flight, each within one partition as far as is known."""

import asyncio
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Sequence

from dstk_client.types import BulkStop, Client
from dstk_keytypes import Key, Ttl, limits
from dstk_service.errors import AlreadyExists

Pair = tuple[Key, bytes]

PAUSE_SECONDS = 0.05
BATCH_BYTES = 4 << 20


async def insert_sorted(
    client: Client,
    records: Iterable[Pair] | AsyncIterable[Pair],
    *,
    batch_size: int = 1000,
    in_flight: int = 4,
    ttl: Ttl | None = None,
    if_absent: bool = False,
    progress: Callable[[int], None] | None = None,
) -> int:
    """Inserts records that ascend strictly by key; returns how many. `progress` is given the number of each batch, in
    order, once it is on disk, so that a caller who is stopped knows what is in.

    Raises AlreadyExists where `if_absent` meets a record, and whatever a bulk insert raises; batches behind the failing one
    may be in by then.
    """
    total = 0
    under_way: deque[asyncio.Task[int]] = deque()
    try:
        async for batch in _batches(records, min(batch_size, limits.MAX_BULK_RECORDS)):
            if len(under_way) >= in_flight:
                total += await _finish(under_way, progress)
            under_way.append(asyncio.create_task(_insert_all(client, batch, ttl, if_absent=if_absent)))
        while under_way:
            total += await _finish(under_way, progress)
    finally:
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
    return total


async def _finish(under_way: "deque[asyncio.Task[int]]", progress: Callable[[int], None] | None) -> int:
    count = await under_way.popleft()
    if progress is not None:
        progress(count)
    return count


async def _insert_all(client: Client, batch: Sequence[Pair], ttl: Ttl | None, *, if_absent: bool) -> int:
    rest = batch
    while rest:
        result = await client.bulk_insert(rest, ttl=ttl, if_absent=if_absent)
        rest = rest[result.inserted :]
        if result.stop == BulkStop.KEY_EXISTS:
            raise AlreadyExists(result.current_etag)
        if result.stop == BulkStop.OVERLOADED:
            await asyncio.sleep(PAUSE_SECONDS)
    return len(batch)


async def _batches(records: Iterable[Pair] | AsyncIterable[Pair], size: int) -> AsyncIterator[list[Pair]]:
    batch: list[Pair] = []
    room = BATCH_BYTES
    async for record in _each(records):
        batch.append(record)
        room -= len(record[0]) + len(record[1])
        if len(batch) == size or room <= 0:
            yield batch
            batch, room = [], BATCH_BYTES
    if batch:
        yield batch


async def _each(records: Iterable[Pair] | AsyncIterable[Pair]) -> AsyncIterator[Pair]:
    if isinstance(records, AsyncIterable):
        async for record in records:
            yield record
    else:
        for record in records:
            yield record
