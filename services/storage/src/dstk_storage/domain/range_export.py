"""A partition's records and the writes since, such that together they are the partition at one position.

The range is read page by page while writes go on. Before each page come the entries that were on disk when the reading of
that page began, in their order. So a page shows at least what came before it, and what it shows too early comes again behind
it: entries are whole records, and the last one of a key wins. Hence the next page may be read while one is used, as long as
the entries that reach the disk after that wait for their turn behind it. The last page is followed by all entries that are on
disk by then, so that the export ends at no position before what a page has shown. The log's tail need only reach from one
page to the next, however long the whole takes.

Rejected: one LevelDB snapshot, and all entries behind it. The tail would have to hold everything that is written meanwhile, and
an export that takes long, as a throttled one does, would never end.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple, Protocol

from dstk_keytypes import KeyRange
from dstk_storage.domain import layout
from dstk_storage.domain.errors import StorageError
from dstk_storage.domain.history import History
from dstk_storage.domain.log import PartitionLog
from dstk_storage.ports import Engine, EngineError, Offload

PAGE_RECORDS = 20_000
PAGE_BYTES = 2 << 20


class LogEvicted(Exception):
    """More was written between two pages than the log's tail holds: the export has to begin again."""


class Piece(NamedTuple):
    """Keys, and for each the record as it lies on disk, or a removal. Of a key that comes twice the last record counts."""

    keys: Sequence[bytes]
    records: Sequence[bytes]


class Pace(Protocol):
    """How much of the time an export takes."""

    def may_read_ahead(self) -> bool:
        """Whether the next page may be read while one is used: nobody would notice."""

    async def rest(self, begun: float) -> None:
        """Leaves time to callers after a page whose reading began then, on the monotonic clock."""

    def now(self) -> float:
        """The monotonic clock."""


class _Page(NamedTuple):
    """Records read from `begun` on, when the log's history was `stood`; and the range behind them."""

    begun: float
    stood: History
    piece: Piece
    rest: KeyRange | None


class RangeExport:
    """One export of a whole partition. Use `pieces` once; then `history` is the position that they add up to."""

    def __init__(
        self, engine: Engine, offload: Offload, durable: Callable[[], Awaitable[None]], log: PartitionLog, pace: Pace
    ) -> None:
        self._engine, self._offload, self._durable, self._log, self._pace = engine, offload, durable, log, pace
        self.history = log.history
        """What the pieces so far have, but for pages that are still to come."""
        self._since = log.subscribe(log.position, _ignore, applied_only=True)

    async def pieces(self, key_range: KeyRange) -> AsyncGenerator[Piece, None]:
        """Pages and entries, in the order in which they are to be written. Raises EngineError, LogEvicted."""
        ahead: asyncio.Task[_Page | None] | None = None
        try:
            page = await self._read(key_range)
            while page is not None:
                for piece in self._entries(page.stood):
                    yield piece
                ahead = asyncio.create_task(self._read(page.rest)) if self._pace.may_read_ahead() else None
                yield page.piece
                if ahead is None:
                    await self._pace.rest(page.begun)
                page = await (ahead or self._read(page.rest))
            await self._settle()
            for piece in self._entries(self._log.history):
                yield piece
        finally:
            self._since.close()
            if ahead is not None:
                ahead.cancel()

    async def _read(self, rest: KeyRange | None) -> _Page | None:
        """The first page of what is left; None: nothing is."""
        if rest is None:
            return None
        begun, stood = self._pace.now(), self._log.history  # before the page is read: see above
        keys, records, resume = await self._offload(partial(page, self._engine, rest))
        return _Page(begun, stood, Piece(keys, records), None if resume is None else KeyRange(resume, rest.end))

    async def _settle(self) -> None:
        """Waits until the log's history tells of all that the last page has shown: it is told of a write to disk a moment after
        pages show it.
        """
        try:
            await self._durable()
        except StorageError as error:
            raise EngineError(str(error)) from error

    def _entries(self, reached: History) -> Iterator[Piece]:
        """The entries up to there that did not come yet, many in one piece: each piece is an fsync where it is written."""
        entries = self._since.next()
        if entries is None:
            raise LogEvicted("more was written meanwhile than the log's tail holds")
        keys: list[bytes] = []
        records: list[bytes] = []
        size, history = 0, self.history
        for entry in (each for each in entries if each.position <= reached.position):
            keys += entry.keys
            records += entry.records
            size, history = size + entry.size, history.extended(entry.epoch, entry.first, entry.position.seq)
            if size >= PAGE_BYTES:
                yield Piece(keys, records)
                self.history, keys, records, size = history, [], [], 0
        if keys:
            yield Piece(keys, records)
        self.history = history
        self._since.seek(history.position)


def page(engine: Engine, key_range: KeyRange) -> tuple[list[bytes], list[bytes], bytes | None]:
    """Keys, encoded records, and where to go on. Blocks."""
    keys: list[bytes] = []
    records: list[bytes] = []
    size = 0
    with engine.iterate(*layout.data_bounds(key_range), fill_cache=False) as pairs:
        for key, record in pairs:
            if size >= PAGE_BYTES or len(keys) >= PAGE_RECORDS:
                return keys, records, key[1:]
            keys.append(key[1:])
            records.append(record)
            size += len(key) + len(record)
    return keys, records, None


def _ignore() -> None:
    """An export asks when it needs more."""
