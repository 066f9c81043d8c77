"""A store that tests drive by hand, without gRPC, etcd or threads, and writes to it."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

from dstk_cluster.model import Origin
from dstk_keytypes import KeyRange, NodeId, PartitionId
from dstk_service.observe import NULL, Observer
from dstk_storage.domain import layout
from dstk_storage.domain.admission import QueueLimits
from dstk_storage.domain.commit import GroupCommitter
from dstk_storage.domain.converge import Assignment, Divergence
from dstk_storage.domain.identity import EngineIdentity
from dstk_storage.domain.receipt import Receipt
from dstk_storage.domain.store import Store
from dstk_storage.domain.write_queue import Proposer, WriteQueue
from dstk_storage.domain.writes import Writer
from dstk_storage.ports import Engine, Offload
from kit.offloads import inline
from kit.proposers import UnreplicatedProposer

NOW = 1_000_000
"""When tests write, in milliseconds."""


def assignment(
    number: int, start: bytes = b"", end: bytes | None = None, epoch: int = 1, origin: Origin | None = None
) -> Assignment:
    """A partition of the node under test."""
    return Assignment(PartitionId(number), KeyRange(start, end), epoch, origin)


def founding(engine: Engine) -> Engine:
    """Makes the engine one that is older than the partition map, so that what the map has at first is whole in it."""
    if engine.get(layout.ENGINE) is None:
        batch = engine.batch()
        identity = EngineIdentity("e" * 16, NodeId("me"), "test", mark=1, founding=True)
        batch.put(layout.ENGINE, identity.encode())
        engine.write(batch)
    return engine


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
        self.writer = Writer(self, self.queue, time.monotonic, observer)

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


def serve(store: Store, assigned: Iterable[Assignment]) -> list[Divergence]:
    """Holds and serves what is assigned, as a node without followers does; returns what differed."""
    divergences = store.converge(assigned)
    for partition in store.locals:
        store.activate(partition)
    return divergences


@asynccontextmanager
async def running_store(
    engine: Engine,
    *assigned: Assignment,
    limits: QueueLimits | None = None,
    proposer: Proposer | None = None,
    observer: Observer = NULL,
) -> AsyncIterator[LocalStore]:
    """A store that serves `assigned` (by default everything) with its commit pipeline running. Raises what ends the pipeline,
    in an ExceptionGroup, instead of leaving the block waiting for it.
    """
    store = LocalStore(founding(engine), inline, limits, proposer, observer)
    store.load()
    serve(store, assigned or [assignment(1)])
    async with asyncio.TaskGroup() as tasks:
        loop = tasks.create_task(store.run())
        yield store
        loop.cancel()


def put(
    store: LocalStore,
    key: bytes,
    value: bytes = b"v",
    *,
    condition: int = 0,
    if_etag: int = 0,
    ttl_ms: int = 0,
    now_ms: int = NOW,
    receipt: Receipt | None = None,
) -> int:
    """Writes a record and returns its etag. It is pending until the store is `durable`. Raises StorageError."""
    return store.writer.put(key, value, condition, if_etag, ttl_ms, 0, now_ms, receipt or Receipt())


async def put_durably(store: LocalStore, key: bytes) -> None:
    """Writes a record to disk. Raises StorageError."""
    put(store, key)
    await store.durable()


def delete(store: LocalStore, key: bytes, *, now_ms: int = NOW) -> None:
    """Deletes a record, pending until the store is `durable`. Raises StorageError."""
    store.writer.delete(key, 0, 0, 0, now_ms, Receipt())


async def fill(store: LocalStore, count: int, size: int, ttl_ms: int = 0, prefix: bytes = b"k") -> list[bytes]:
    """Puts so many records of random bytes, which do not compress, on disk; returns their keys."""
    noise = random.Random(1)
    keys = [prefix + b"%07d" % number for number in range(count)]
    for key in keys:
        put(store, key, noise.randbytes(size), ttl_ms=ttl_ms)
    await store.durable()
    return keys


async def empty(store: LocalStore, keys: Iterable[bytes]) -> None:
    """Deletes the records of the keys on disk."""
    for key in keys:
        delete(store, key)
    await store.durable()


async def delete_orphaned(store: LocalStore) -> None:
    """Deletes all orphaned ranges, on disk. Raises EngineError, TimeoutError."""
    async with asyncio.timeout(60):
        while store.orphaned_ranges.ranges:
            await store.orphaned_ranges.step()
            await store.committer.durable()
            await asyncio.sleep(0)
