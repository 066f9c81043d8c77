"""The one loop for bulk inserts: any number of sorted records, a bounded number of bulk inserts in flight."""

import asyncio
from collections import deque
from collections.abc import AsyncIterable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from dstk_client import arguments
from dstk_client.batching import AsyncRecords, Batch, Pair, Records, batches
from dstk_client.types import BulkResult, BulkStop
from dstk_keytypes import DstkError, InvalidArgument, Key, Ttl, limits
from dstk_service.backoff import Backoff
from dstk_service.errors import (
    AlreadyExists,
    DeadlineExceeded,
    DiskFull,
    NotServing,
    Overloaded,
    WriteAmbiguous,
    shown,
)

MAX_IN_FLIGHT = 64
BACKOFF = Backoff(first=0.05, longest=2.0)
"""Seconds between the tries of a batch; each pause is twice the one before."""

LEAST_SECONDS = 0.05
"""Seconds that a try needs: with less, a refusal, which is certain, would become a deadline, which is not."""

_REFUSALS = (NotServing, Overloaded, DiskFull)
"""Errors after which nothing was written."""
_AMBIGUOUS = (WriteAmbiguous, DeadlineExceeded)


class InsertStopped(DstkError):
    """An insert of sorted records ended before all records were on disk.

    The first `inserted` records are on disk, and `behind` of those after `key`, which other bulk inserts carried. `key` is the
    first that is not known to be on disk: inserting the records from it on completes the insert. `why` is the failure in words,
    `__cause__` the failure itself.
    """

    reason = "INSERT_STOPPED"

    def __init__(self, inserted: int, key: Key, behind: int, why: str) -> None:
        super().__init__(f"inserted {inserted} records; stopped at {shown(key)}: {why}")
        self.inserted = inserted
        self.key = key
        self.behind = behind
        self.why = why


class BulkInserter(Protocol):
    """The part of a client that inserts one batch."""

    async def bulk_insert(
        self,
        records: Sequence[Pair],
        *,
        ttl: Ttl | timedelta | None = None,
        expires_at_ms: Sequence[int] = (),
        if_absent: bool = False,
        timeout: float | None = None,
    ) -> BulkResult:
        """Inserts from the front as far as one partition reaches. Raises DstkError."""


@dataclass(frozen=True, slots=True)
class Options:
    """How records are inserted; `Client.insert_sorted` describes the fields."""

    batch_size: int
    in_flight: int
    ttl: Ttl | timedelta | None
    if_absent: bool
    repeat_ambiguous: bool
    timeout: float
    progress: Callable[[int], object] | None

    def checked(self) -> "Options":
        """The same options as plain values. Raises InvalidArgument."""
        checked = Options(
            batch_size=arguments.whole("batch_size", self.batch_size, 1, limits.MAX_BULK_RECORDS, " records"),
            in_flight=arguments.whole("in_flight", self.in_flight, 1, MAX_IN_FLIGHT, " bulk inserts"),
            ttl=Ttl(arguments.ttl_ms("ttl", self.ttl)) if self.ttl is not None else None,
            if_absent=arguments.flag("if_absent", self.if_absent),
            repeat_ambiguous=arguments.flag("repeat_ambiguous", self.repeat_ambiguous),
            timeout=arguments.seconds(self.timeout) or 0.0,
            progress=arguments.function("progress", self.progress),
        )
        if checked.if_absent and checked.repeat_ambiguous:
            limit = "False with if_absent=True: a repeated batch would stop at its own records"
            raise InvalidArgument("repeat_ambiguous", "True", limit)
        return checked


async def insert_sorted(client: BulkInserter, records: Records | AsyncRecords, options: Options) -> int:
    """Inserts all records; returns how many. `Client.insert_sorted` describes what it raises."""
    insert = SortedInsert(client, options)
    await insert.run(batches(records, options.batch_size))
    return insert.inserted


class SortedInsert:
    """Inserts batches that follow one another; `inserted` counts the leading records that are on disk.

    Invariant: the sum of what `progress` got is `inserted`.
    """

    def __init__(self, client: BulkInserter, options: Options) -> None:
        self.inserted = 0
        self._client = client
        self._options = options
        self._repeatable = (*_REFUSALS, *_AMBIGUOUS) if options.repeat_ambiguous else _REFUSALS
        self._in_flight: deque[tuple[Batch, asyncio.Task[None]]] = deque()
        self._stopping = False

    async def run(self, prepared: AsyncIterable[Batch] | Iterable[Batch]) -> None:
        """Inserts the batches. Raises InsertStopped, and what iterating over the batches raises."""
        try:
            if isinstance(prepared, AsyncIterable):
                async for batch in prepared:
                    await self._start(batch)
            else:
                for batch in prepared:
                    await self._start(batch)
            while self._in_flight:
                await self._finish_first()
        finally:
            await self._cancel()

    async def _start(self, batch: Batch) -> None:
        if len(self._in_flight) >= self._options.in_flight:
            await self._finish_first()
        self._in_flight.append((batch, asyncio.create_task(self._insert(batch))))

    async def _finish_first(self) -> None:
        batch, task = self._in_flight[0]
        try:
            await task
        except InvalidArgument:
            raise
        except DstkError as error:
            self._acknowledge(batch)
            raise InsertStopped(self.inserted, batch.next_key, await self._behind(), str(error)) from error
        self._in_flight.popleft()
        self._acknowledge(batch)

    def _acknowledge(self, batch: Batch) -> None:
        self.inserted += batch.inserted
        if self._options.progress is not None and batch.inserted:
            self._options.progress(batch.inserted)

    async def _behind(self) -> int:
        """Lets the other batches finish the try that is in flight; returns how many of their records are on disk."""
        self._stopping = True
        self._in_flight.popleft()
        await asyncio.gather(*(task for _, task in self._in_flight), return_exceptions=True)
        return sum(batch.inserted for batch, _ in self._in_flight)

    async def _cancel(self) -> None:
        for _, task in self._in_flight:
            task.cancel()
        await asyncio.gather(*(task for _, task in self._in_flight), return_exceptions=True)
        self._in_flight.clear()

    async def _insert(self, batch: Batch) -> None:
        """Tries until the whole batch is on disk, or for `timeout` seconds after its last acknowledgement."""
        while not batch.is_done:
            await self._insert_some(batch)

    async def _insert_some(self, batch: Batch) -> None:
        """Tries until at least one more record of the batch is on disk."""
        loop, failures = asyncio.get_running_loop(), 0
        timeout = self._options.timeout
        give_up = loop.time() + timeout
        while True:
            try:
                return await self._try(batch, min(timeout, max(give_up - loop.time(), LEAST_SECONDS)))
            except self._repeatable:
                failures += 1
                pause = BACKOFF.delay(failures)
                if loop.time() + pause + LEAST_SECONDS >= give_up:
                    raise
                await asyncio.sleep(pause)
                if self._stopping:
                    raise

    async def _try(self, batch: Batch, seconds: float) -> None:
        """One bulk insert. Raises the error that kept it from inserting any record."""
        rest, options = batch.rest(), self._options
        result = await self._client.bulk_insert(
            rest.records,
            ttl=options.ttl,
            expires_at_ms=rest.expires_at_ms,
            if_absent=options.if_absent,
            timeout=seconds,
        )
        batch.inserted += result.inserted
        if result.stop == BulkStop.KEY_EXISTS:
            raise AlreadyExists(result.current_etag)
        if not result.inserted:
            raise Overloaded("the queue of the partition is full", BACKOFF.first)
