"""Making a replica anew that the recent batches do not reach: its range is emptied and copied.

The copy goes through the range page by page while writes go on. Before each page is sent, the entries that the primary had
on disk when it began to read that page are, in their order. So a page shows at least what was sent before it, and what it
shows too early comes again behind it: entries are whole records, and the last one of a key wins. Hence the next page may be
read while one is on its way, as long as the entries that came to the disk after that wait for their turn behind it. The last
page is followed by all entries that are on disk by then, so that the copy stands nowhere before what a page has shown. The
recent batches need only reach from one page to the next, however long the whole takes. Until the last page nobody reads from
the copy, and it cannot be elected.

Rejected: entries sent after the whole copy alone. The ring would have to hold all that is written meanwhile, and a copy that
takes long, as a throttled one does, would never end.
"""

import asyncio
import logging
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from dstk_keytypes import KeyRange, NodeId
from dstk_storage.domain import layout
from dstk_storage.domain.apply import apply_records
from dstk_storage.domain.errors import StorageError
from dstk_storage.domain.history import History
from dstk_storage.domain.orphaned_ranges import clear
from dstk_storage.domain.replication.ports import Chunk, PeerUnreachable
from dstk_storage.domain.replication.replica import Primary, Progress, Replica
from dstk_storage.ports import Engine, EngineError

if TYPE_CHECKING:
    from dstk_storage.domain.replication.replicator import Replicator

log = logging.getLogger(__name__)

ATTEMPT_BITS = 24
"""Of the number of a copy: as many as one process makes, before they begin anew."""

PAGE_RECORDS = 20_000
PAGE_BYTES = 2 << 20

BUSY_SHARE = 0.1
"""Of the time that a copy may use while callers read and write here; alone it uses all."""

CALM_OPERATIONS = 0
"""Of callers, from one page to the next, with which a copy still counts as alone, reads ahead, and does not rest."""

LONGEST_PAUSE = 1.0
"""Between two pages: one that took long because a node was away says nothing about load."""

PATIENCE = 20.0
"""Seconds that a copy waits for a node that cannot be reached, before it would begin anew."""

RETRY_SECONDS = 0.1

FULL_SECONDS = 5.0
"""That a piece waits for room on the receiver's disk before it is refused, to be sent again."""


class _Superseded(Exception):
    """The primary is no longer that, or its recent batches do not reach the copy any more."""


class _Page(NamedTuple):
    """Records as they are on disk, read from `begun` on, when the primary `stood` there; and the range behind them."""

    begun: float
    stood: History
    keys: Sequence[bytes]
    records: Sequence[bytes]
    rest: KeyRange | None


class Rebuild:
    """One copy of a primary's replica to a follower, which is fed from there on."""

    def __init__(
        self, home: "Replicator", replica: Replica, primary: Primary, node: NodeId, progress: Progress
    ) -> None:
        self._home, self._replica, self._primary = home, replica, primary
        self._node, self._progress = node, progress
        self._sent: History = replica.partition.log.history
        """What the copy has, but for pages that are still to come."""
        # the epoch that a primary has won is its alone; its later ones come and go while it copies
        self._attempt = (primary.won << ATTEMPT_BITS) + home.next_attempt()
        progress.busy = True

    async def run(self) -> None:
        """Copies, or gives up: the next look at the follower begins anew then."""
        where = {"partition": self._replica.info.id, "node": self._node}
        log.info("rebuilding a replica", extra=where)
        try:
            await self._copy()
            self._progress.distrusted = False
            log.info("a replica is rebuilt", extra=where)
        except (PeerUnreachable, _Superseded, EngineError) as error:
            log.info("a rebuild begins anew", extra={**where, "reason": str(error)})
        finally:
            self._progress.copying = self._progress.busy = False
            self._progress.ask_anew()

    async def _copy(self) -> None:
        self._sent = self._replica.partition.log.history
        await self._send(first=True)
        at, seen = await self._read(self._replica.range), self._home.around.store.operations()
        while at is not None:
            await self._catch_up(at.stood)
            before, seen = seen, self._home.around.store.operations()
            if seen - before <= CALM_OPERATIONS:
                _, at = await asyncio.gather(self._send(at.keys, at.records), self._read(at.rest))
            else:
                await self._send(at.keys, at.records)
                await self._leave_time_to_callers(at.begun)
                at = await self._read(at.rest)
        await self._settle()
        await self._catch_up(self._replica.partition.log.history)
        await self._send(history=self._sent)

    async def _read(self, rest: KeyRange | None) -> "_Page | None":
        """The first page of what is left; None: nothing is."""
        if rest is None:
            return None
        store, begun = self._home.around.store, self._home.around.clock.monotonic()
        stood = self._replica.partition.log.history  # before the page is read: see above
        keys, records, resume = await store.offload(partial(page, store.engine, rest))
        return _Page(begun, stood, keys, records, None if resume is None else KeyRange(resume, rest.end))

    async def _settle(self) -> None:
        """Waits until this primary's history tells of all that the last page has shown: it is told of a write to disk a moment
        after pages show it.
        """
        try:
            await self._home.around.committer.durable()
        except StorageError as error:
            raise EngineError(str(error)) from error

    async def _leave_time_to_callers(self, begun: float) -> None:
        clock = self._home.around.clock
        pause = (clock.monotonic() - begun) * (1 - BUSY_SHARE) / BUSY_SHARE
        await clock.sleep(min(pause, LONGEST_PAUSE))

    async def _catch_up(self, reached: History) -> None:
        """Sends the entries up to there that were not sent yet, many in one piece: each piece is an fsync at the other end."""
        self._check()
        entries = self._replica.partition.log.entries_after(self._sent.position)
        if entries is None:
            raise _Superseded("more was written meanwhile than the recent batches hold")
        keys: list[bytes] = []
        records: list[bytes] = []
        with_them, size = self._sent, 0
        for entry in (each for each in entries if each.position <= reached.position):
            keys += entry.keys
            records += entry.records
            with_them, size = with_them.extended(entry.epoch, entry.first, entry.position.seq), size + entry.size
            if size >= PAGE_BYTES:
                await self._send(keys, records)
                self._sent, keys, records, size = with_them, [], [], 0
        if keys:
            await self._send(keys, records)
            self._sent = with_them

    async def _send(
        self,
        keys: Sequence[bytes] = (),
        records: Sequence[bytes] = (),
        *,
        first: bool = False,
        history: History | None = None,
    ) -> None:
        """Sends a piece, again and again while the node cannot be reached: taking it twice changes nothing."""
        clock, peers = self._home.around.clock, self._home.around.peers
        number, whole = self._replica.info.id, self._replica.range
        patience = clock.monotonic() + PATIENCE
        while True:
            self._check()
            try:
                chunk = Chunk(number, self._primary.epoch, whole, keys, records, first, history, self._attempt)
                await peers.install_snapshot(self._node, chunk)
            except PeerUnreachable:
                if clock.monotonic() >= patience:
                    raise
                await clock.sleep(RETRY_SECONDS)
            else:
                return

    def _check(self) -> None:
        primary = self._replica.primary
        if primary is not self._primary or primary.followers.get(self._node) is not self._progress:
            raise _Superseded("this node is not its primary any more, or it is no replica any more")


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


async def receive(replicator: "Replicator", chunk: Chunk) -> bool:
    """The copy's other end; False: this node follows somebody else, or has another range. Raises EngineError.

    Not to be cancelled while the process goes on: what a thread is deleting must not meet what the next piece writes.
    """
    store = replicator.around.store
    if chunk.keys:
        await _until_there_is_room(replicator)
    async with store.orphaned_ranges.turn:
        replica = replicator.replicas.get(chunk.partition)
        if replica is None or replica.range != chunk.range or replica.primary is not None:
            return False
        if chunk.epoch < replica.promised or not replica.believes(chunk.epoch):
            return False
        if not (chunk.first or replica.partition.rebuilding):
            return False
        if not chunk.first and replica.partition.copied_by != chunk.attempt:
            return False
        replica.promise(chunk.epoch)
        if chunk.first:
            await replicator.following.drain(replica)
            await _begin(replicator, replica, chunk.attempt)
        await store.offload(partial(_fill, store.engine, chunk))
        if chunk.history is not None and replica.range == chunk.range:
            await _stand(replicator, replica, chunk.history, rebuilding=False)
        return True


async def _until_there_is_room(replicator: "Replicator") -> None:
    """A copy must not fill the disk: it waits until deletions have given space back, as long as its sender does."""
    intake, clock = replicator.around.committer.intake, replicator.around.clock
    end = clock.monotonic() + FULL_SECONDS
    while intake.entries is not None:
        if clock.monotonic() >= end:
            raise EngineError(f"no room for a copy: {intake.entries}")
        await clock.sleep(RETRY_SECONDS)


async def _begin(replicator: "Replicator", replica: Replica, attempt: int) -> None:
    """Empties the replica in steps; a crash in between leaves the mark that it is no consistent whole, and by which copy it is
    to become one: pieces of it that come after a restart are taken only if those before them are on this disk (R12).
    """
    store = replicator.around.store
    replica.partition.copied_by = attempt
    await _stand(replicator, replica, History(), rebuilding=True)
    replica.suspect = False
    while True:
        cleared = await store.offload(partial(clear, store.engine, replica.range))
        replica.partition.garbage += cleared.bytes
        if cleared.is_all:
            return


async def _stand(replicator: "Replicator", replica: Replica, history: History, *, rebuilding: bool) -> None:
    """Where the replica stands from now on, on disk too: through the committer, as all that is written about a partition, for
    what two threads write in turn is in no order.
    """
    replica.partition.rebuilding = rebuilding
    replica.partition.log.reset(history)
    replicator.around.committer.persist_metadata(replica.partition)
    try:
        await replicator.around.committer.durable()
    except StorageError as error:
        raise EngineError(str(error)) from error


def _fill(engine: Engine, chunk: Chunk) -> None:
    target = engine.batch()
    apply_records(chunk.keys, chunk.records, target)
    engine.write(target)
