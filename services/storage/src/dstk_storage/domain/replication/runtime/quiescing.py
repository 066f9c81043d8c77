"""Quiesces partitions for a change of the map: no write is admitted, and all replicas in sync stand at one position."""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from typing import Protocol

from dstk_cluster.mapstore import MapConflict
from dstk_service.clock import Clock
from dstk_storage.domain.errors import PreconditionFailed
from dstk_storage.domain.intake import Intake
from dstk_storage.domain.partition import Partition
from dstk_storage.domain.replication.actions import Outbox
from dstk_storage.domain.replication.follower_watch import ship
from dstk_storage.domain.replication.primary import Primary
from dstk_storage.domain.replication.replica import Replica
from dstk_storage.domain.replication.stepping_down import step_down

QUIESCE_SECONDS = 1.0
"""How long a partition may take to quiesce before it goes on instead."""

LOOK_SECONDS = 0.002

Led = tuple[Replica, Primary]


class Pending(Protocol):
    """What this node's disk has not got yet."""

    @property
    def intake(self) -> Intake:
        """What the disk takes at the moment."""

    def is_persisted(self, partition: Partition) -> bool:
        """Whether the disk knows the partition's range and where its log begins."""

    def is_idle(self, partition: Partition) -> bool:
        """Whether no write of the partition gathers or is on its way."""


class Quiescing:
    """Raises PreconditionFailed where a partition does not quiesce in time; it goes on then."""

    def __init__(
        self,
        pending: Pending,
        outbox: Outbox,
        clock: Clock,
        flush: Callable[[], None],
        elect: Callable[[], None],
    ) -> None:
        self._pending, self._outbox = pending, outbox
        self._clock, self._flush, self._elect = clock, flush, elect

    def check_disk(self) -> None:
        """Raises PreconditionFailed while this node's disk fails: where its replicas stand is known when it is reopened, and
        ranges change only between known positions.
        """
        if (failure := self._pending.intake.failure) is not None:
            raise PreconditionFailed(f"ranges do not change on a node whose disk fails: {failure.why}")

    @asynccontextmanager
    async def quiet(self, led: Led) -> AsyncIterator[None]:
        """While it lasts, the partition is quiesced and this node stays its primary: keep it to milliseconds."""
        with _closed(*led):
            await self._quiesce(*led)
            yield

    @asynccontextmanager
    async def stepped_down(self, *led: Led) -> AsyncIterator[None]:
        """Around the one transaction: the partitions are quiesced, and this node has stepped down from them. If the transaction
        did not happen, or nobody knows, the next election decides.
        """
        with ExitStack() as stack:
            for each in led:
                stack.enter_context(_closed(*each))
            await self.until_unchanging(replica for replica, _ in led)
            for each in led:
                await self._quiesce(*each)
            for replica, primary in led:
                if replica.primary is not primary or not primary.is_quiet(replica.log.tail):
                    reason = f"partition {replica.info.id} has another primary meanwhile: try again"
                    raise PreconditionFailed(reason)
            self._step_down(led)
            try:
                yield
            except MapConflict as error:
                raise PreconditionFailed(f"{error}: try again") from error
            finally:
                for replica, _ in led:
                    replica.is_electing = replica.is_quiesced = False
                    self._outbox.change(replica)
                self._flush()
                self._elect()

    async def until_unchanging(self, replicas: Iterable[Replica]) -> None:
        """Changes that the primary makes by itself go first."""
        waiting, end = list(replicas), self._clock.monotonic() + QUIESCE_SECONDS
        while any(replica.primary is not None and replica.primary.is_changing for replica in waiting):
            if self._clock.monotonic() >= end:
                raise PreconditionFailed("another change of the partition is under way: try again")
            await self._clock.sleep(LOOK_SECONDS)

    def _step_down(self, led: Iterable[Led]) -> None:
        """Elections are suppressed during the change."""
        for replica, _ in led:
            replica.is_electing = replica.is_quiesced = True
            step_down(replica, self._outbox)
        self._flush()

    async def _quiesce(self, replica: Replica, primary: Primary) -> None:
        """When the partition is quiet, its followers are probed: one that has lost everything since it last answered must not
        be given the partition (R6).
        """
        await self._until_quiet(replica, primary)
        for progress in primary.in_sync():
            progress.probe()
        ship(replica, self._outbox)
        self._flush()
        await self._until_quiet(replica, primary)

    async def _until_quiet(self, replica: Replica, primary: Primary) -> None:
        end = self._clock.monotonic() + QUIESCE_SECONDS
        while replica.primary is primary and not self._is_quiet(replica, primary):
            if self._clock.monotonic() >= end:
                reason = f"partition {replica.info.id} does not come to rest: a replica is slow; try again"
                raise PreconditionFailed(reason)
            await self._clock.sleep(LOOK_SECONDS)

    def _is_quiet(self, replica: Replica, primary: Primary) -> bool:
        partition, log = replica.partition, replica.log
        is_on_disk = self._pending.is_persisted(partition) and self._pending.is_idle(partition)
        return is_on_disk and log.position == log.tail and primary.is_quiet(log.tail)


@contextmanager
def _closed(replica: Replica, primary: Primary) -> Iterator[None]:
    """No write is admitted."""
    primary.is_quiescing = replica.partition.closed = True
    try:
        yield
    finally:
        primary.is_quiescing = replica.partition.closed = False
