"""Sorted records into the cluster: a few bulk inserts in flight, each repeated until the cluster has taken it whole."""

import asyncio
from collections.abc import Callable, Iterator, Sequence

from dstk_client import Client
from dstk_keytypes import Key, Ttl, limits
from dstk_service.errors import DeadlineExceeded, DiskFull, DstkError, NotServing, Overloaded, WriteAmbiguous

IN_FLIGHT = 4
BATCH_RECORDS = 2_000
BATCH_BYTES = 2 << 20
PATIENCE_S = 60.0
_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 2.0

_REPEATABLE = (NotServing, Overloaded, DiskFull, WriteAmbiguous, DeadlineExceeded)
"""Inserting the same records once more leaves the same records: even an ambiguous outcome is simply repeated."""

_QUEUE_FULL: DstkError = Overloaded("the partition's queue is full", 1.0)

Records = Sequence[tuple[Key, bytes]]


async def insert_all(
    client: Client,
    records: Records,
    expiries: Sequence[int] = (),
    *,
    ttl: Ttl | None,
    inserted: Callable[[int], None],
) -> None:
    """Inserts records that are sorted by key, each key once. Returns when all are acknowledged.

    `expiries`: of each record, in Unix milliseconds, 0: never; empty: all have the time to live `ttl`. `inserted` is called
    with the number of records of each acknowledgement. A cluster that is busy or partly down is waited for up to 60 s since its
    last acknowledgement of a batch; then the error is raised.
    """
    slots = asyncio.Semaphore(IN_FLIGHT)

    async def one(begin: int, end: int) -> None:
        async with slots:
            await _insert(client, records[begin:end], expiries[begin:end], ttl, inserted)

    async with asyncio.TaskGroup() as group:
        for begin, end in batches(records):
            group.create_task(one(begin, end))


def batches(records: Records) -> Iterator[tuple[int, int]]:
    """Cuts records into pieces that one bulk insert may carry: where each begins and ends."""
    begin, size = 0, 0
    for at, (key, value) in enumerate(records):
        weight = len(key) + len(value)
        if at > begin and (at - begin >= BATCH_RECORDS or size + weight > BATCH_BYTES):
            yield begin, at
            begin, size = at, 0
        size += weight
    if begin < len(records):
        yield begin, len(records)


async def _insert(
    client: Client, batch: Records, expiries: Sequence[int], ttl: Ttl | None, inserted: Callable[[int], None]
) -> None:
    loop = asyncio.get_running_loop()
    give_up, pause = loop.time() + PATIENCE_S, _FIRST_PAUSE_S
    while batch:
        taken, failure = 0, _QUEUE_FULL
        try:
            taken = (await client.bulk_insert(batch, ttl=ttl, expires_at_ms=expiries)).inserted
        except _REPEATABLE as error:
            failure = error
        if taken:
            inserted(taken)
            batch, expiries = batch[taken:], expiries[taken:]
            give_up, pause = loop.time() + PATIENCE_S, _FIRST_PAUSE_S
            continue
        if loop.time() > give_up:
            raise failure
        await asyncio.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE_S)


assert BATCH_RECORDS <= limits.MAX_BULK_RECORDS
assert BATCH_BYTES + limits.MAX_VALUE_BYTES + limits.MAX_KEY_BYTES <= limits.MAX_BULK_BYTES
