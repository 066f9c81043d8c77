"""Sends snapshots to followers that the log's tail does not reach."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from dstk_service.clock import Clock
from dstk_service.observe import Event
from dstk_storage.domain.events import SnapshotEnded, SnapshotStarted
from dstk_storage.domain.range_export import LogEvicted, RangeExport
from dstk_storage.domain.replication.actions import InstallSnapshot, Observe, Outbox
from dstk_storage.domain.replication.ports import Peers, PeerUnreachable, SnapshotChunk
from dstk_storage.domain.replication.primary import Primary
from dstk_storage.ports import Engine, EngineError, Offload

ATTEMPT_BITS = 24
"""The bits of a snapshot's number that count the snapshots of one process."""

BUSY_SHARE = 0.1
"""Of the time that a snapshot may use while callers read and write here; alone it uses all."""

CALM_OPERATIONS = 0
"""Of callers, from one page to the next, with which a snapshot still counts as alone, reads ahead, and does not rest."""

LONGEST_PAUSE = 1.0
"""Between two pages: one that took long because a node was away says nothing about load."""

PATIENCE = 20.0
"""Seconds that a snapshot waits for a node that cannot be reached, before it would begin again."""

RETRY_SECONDS = 0.1

NOT_PRIMARY = "this node is not its primary any more, or it is no replica any more"


class _Superseded(Exception):
    """The primary is no longer that, or the follower is no replica any more."""


class CallersFirst:
    """A snapshot's pace: while callers work on this node it takes a share of the time (range_export.Pace)."""

    def __init__(self, operations: Callable[[], int], clock: Clock) -> None:
        self._operations, self._clock = operations, clock
        self._seen = operations()

    def may_read_ahead(self) -> bool:
        """Whether no caller has worked since this was last asked."""
        before, self._seen = self._seen, self._operations()
        return self._seen - before <= CALM_OPERATIONS

    async def rest(self, begun: float) -> None:
        """In proportion to how long the page took."""
        pause = (self._clock.monotonic() - begun) * (1 - BUSY_SHARE) / BUSY_SHARE
        await self._clock.sleep(min(pause, LONGEST_PAUSE))

    def now(self) -> float:
        """The monotonic clock."""
        return self._clock.monotonic()


class SnapshotSender:
    """Sends one snapshot for each InstallSnapshot."""

    def __init__(
        self,
        engine: Engine,
        offload: Offload,
        durable: Callable[[], Awaitable[None]],
        operations: Callable[[], int],
        peers: Peers,
        clock: Clock,
        outbox: Outbox,
        flush: Callable[[], None],
    ) -> None:
        self._engine, self._offload, self._durable, self._operations = engine, offload, durable, operations
        self._peers, self._clock, self._outbox, self._flush = peers, clock, outbox, flush
        self._attempts = 0

    async def run(self, wanted: InstallSnapshot) -> None:
        """Sends it, or gives up: the next look at the follower begins again then."""
        begun, sent = self._clock.monotonic(), _Sent()
        self._observe(SnapshotStarted(wanted.replica.info.id, wanted.node))
        try:
            await self._send_all(wanted, sent)
            wanted.progress.distrusted = False
            self._observe(self._ended(wanted, sent, begun))
        except (PeerUnreachable, _Superseded, LogEvicted, EngineError) as error:
            self._observe(self._ended(wanted, sent, begun, str(error)))
        finally:
            wanted.progress.is_installing = False
            wanted.progress.probe()
            self._outbox.touch(wanted.replica)
            self._flush()

    def _ended(self, wanted: InstallSnapshot, sent: "_Sent", begun: float, failure: str = "") -> SnapshotEnded:
        seconds = self._clock.monotonic() - begun
        return SnapshotEnded(wanted.replica.info.id, wanted.node, sent.records, sent.size, seconds, failure)

    def _observe(self, event: Event) -> None:
        self._outbox.add(Observe(event))
        self._flush()

    async def _send_all(self, wanted: InstallSnapshot, sent: "_Sent") -> None:
        replica, primary = wanted.replica, wanted.replica.primary
        if primary is None:
            raise _Superseded(NOT_PRIMARY)
        pace = CallersFirst(self._operations, self._clock)
        export = RangeExport(self._engine, self._offload, self._durable, replica.log, pace)
        empty = SnapshotChunk(
            replica.info.id, primary.epoch, replica.range, (), (), attempt=self._next_attempt(primary)
        )
        await self._send(wanted, primary, replace(empty, first=True))
        async with aclosing(export.pieces(replica.range)) as pieces:
            async for keys, records in pieces:
                await self._send(wanted, primary, replace(empty, keys=keys, records=records))
                sent.add(keys, records)
        await self._send(wanted, primary, replace(empty, history=export.history))

    async def _send(self, wanted: InstallSnapshot, primary: Primary, chunk: SnapshotChunk) -> None:
        """Sends a chunk, again and again while the node cannot be reached: taking it twice changes nothing."""
        patience = self._clock.monotonic() + PATIENCE
        while True:
            _check(wanted, primary)
            try:
                await self._peers.install_snapshot(wanted.node, replace(chunk, epoch=primary.epoch))
            except PeerUnreachable:
                if self._clock.monotonic() >= patience:
                    raise
                await self._clock.sleep(RETRY_SECONDS)
            else:
                return

    def _next_attempt(self, primary: Primary) -> int:
        """The epoch that a primary has won is its alone; its later ones come and go while it sends."""
        self._attempts = (self._attempts + 1) % (1 << ATTEMPT_BITS)
        return (primary.won << ATTEMPT_BITS) + self._attempts


@dataclass(slots=True)
class _Sent:
    """What the follower has of a snapshot."""

    records: int = 0
    size: int = 0

    def add(self, keys: Sequence[bytes], records: Sequence[bytes]) -> None:
        self.records += len(keys)
        self.size += sum(map(len, keys)) + sum(map(len, records))


def _check(wanted: InstallSnapshot, primary: Primary) -> None:
    """Raises _Superseded unless the follower is still this primary's."""
    if wanted.replica.primary is not primary or primary.followers.get(wanted.node) is not wanted.progress:
        raise _Superseded(NOT_PRIMARY)
