"""A store that tests drive by hand, without gRPC, etcd or threads."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import TypeVar

from typing_extensions import override

from dstk_cluster.model import Origin
from dstk_keytypes import KeyRange, NodeId, PartitionId
from dstk_service.observe import NULL, Observer
from dstk_storage.domain import layout
from dstk_storage.domain.admission import QueueLimits
from dstk_storage.domain.batch import REPLICATED, Batch
from dstk_storage.domain.commit import GroupCommitter
from dstk_storage.domain.converge import Assignment
from dstk_storage.domain.errors import CommitFailed
from dstk_storage.domain.identity import EngineIdentity
from dstk_storage.domain.log import Entry
from dstk_storage.domain.receipt import Receipt
from dstk_storage.domain.store import Store
from dstk_storage.domain.write_queue import Disk, Proposer, WriteQueue
from dstk_storage.domain.writes import Writer
from dstk_storage.ports import Engine, Offload

T = TypeVar("T")


async def inline(call: Callable[[], T], /) -> T:
    """An offload that yields once, as a thread would, and runs the call where it is."""
    await asyncio.sleep(0)
    return call()


def assignment(
    number: int, start: bytes = b"", end: bytes | None = None, epoch: int = 1, origin: Origin | None = None
) -> Assignment:
    """A partition of the node under test."""
    return Assignment(PartitionId(number), KeyRange(start, end), epoch, origin)


def found(engine: Engine) -> Engine:
    """Makes the engine one that is older than the partition map, so that what the map has at first is whole in it."""
    if engine.get(layout.ENGINE) is None:
        batch = engine.batch()
        identity = EngineIdentity("e" * 16, NodeId("me"), "test", mark=1, founding=True)
        batch.put(layout.ENGINE, identity.encode())
        engine.write(batch)
    return engine


class UnreplicatedProposer(Proposer):
    """Commits at once what is proposed. For a store without a cluster."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    @override
    def propose(self, batch: Batch) -> None:
        log = batch.partition.log
        batch.epoch = batch.partition.epoch
        entry = Entry(log.tail, batch.epoch, batch.first, batch.keys, batch.records)
        log.append(entry)
        log.hand(entry.position)
        batch.advance(REPLICATED)
        batch.on_failure = self._failed
        self._disk.commit(batch)

    def _failed(self, batch: Batch) -> None:
        """The log stands where the disk does, as a primary's that steps down."""
        partition = batch.partition
        partition.abandon(CommitFailed("a write before this one did not reach the disk"))
        partition.log.truncate(partition.log.position)


class LocalStore(Store):
    """A store with its commit pipeline, which replicates nothing unless a proposer of a test does."""

    def __init__(
        self,
        engine: Engine,
        offload: Offload,
        limits: QueueLimits | None = None,
        proposer: Proposer | None = None,
        observer: Observer = NULL,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        committer = GroupCommitter(engine, offload, monotonic, observer)
        super().__init__(engine, offload, committer, time.monotonic, observer)
        self.queue = WriteQueue(committer, proposer or UnreplicatedProposer(committer), limits or QueueLimits())
        self.writer = Writer(self, self.queue, time.monotonic)

    async def run(self) -> None:
        """Commits until cancelled."""
        await self.committer.run(self.queue)

    def everything(self) -> Receipt:
        """A receipt that rests on all writes that are pending now."""
        receipt = Receipt()
        for partition in self.locals:
            if (newest := partition.pending.newest()) is not None:
                receipt.rest_on(newest)
        return receipt

    async def durable(self) -> None:
        """Waits until everything that was written before this call is on disk, metadata included. Raises CommitFailed."""
        await self.everything().durable()
        await self.committer.durable()


def serve(store: Store, assigned: Iterable[Assignment]) -> list[str]:
    """Holds and serves what is assigned, as a node without followers does; returns what differed."""
    divergences = store.converge(assigned)
    for partition in store.locals:
        store.activate(partition)
    return divergences


@asynccontextmanager
async def running_store(
    engine: Engine, *assigned: Assignment, limits: QueueLimits | None = None, proposer: Proposer | None = None
) -> AsyncIterator[LocalStore]:
    """A store that serves `assigned` (by default everything) with its commit pipeline running. Raises what ends the pipeline,
    in an ExceptionGroup, instead of leaving the block waiting for it.
    """
    store = LocalStore(found(engine), inline, limits, proposer)
    store.load()
    serve(store, assigned or [assignment(1)])
    async with asyncio.TaskGroup() as tasks:
        loop = tasks.create_task(store.run())
        yield store
        loop.cancel()
