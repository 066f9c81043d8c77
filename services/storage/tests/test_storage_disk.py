"""The disk guard: read-only below the reserve, back again above it, recovery from failed writes."""

import asyncio
from collections.abc import Callable

import pytest

from dstk_service.testing import ManualClock, eventually
from dstk_storage.adapters.memory import MemoryEngine
from dstk_storage.domain.batch import REPLICATED, Batch
from dstk_storage.domain.disk import DiskGuard
from dstk_storage.domain.errors import CommitFailed, ReadOnly
from dstk_storage.domain.log import Entry
from dstk_storage.domain.receipt import Receipt
from dstk_storage.ports import Batch as EngineBatch
from dstk_storage.testing import LocalStore, assignment, running_store

NOW = 1_000_000


class Disk:
    """As full as the test says."""

    free = 1000

    def free_bytes(self) -> int:
        return self.free

    def capacity_bytes(self) -> int:
        return 10_000


class SlowEngine(MemoryEngine):
    """Something happens while a write that fails is under way, once."""

    meanwhile: Callable[[], None] = staticmethod(lambda: None)

    def write(self, batch: EngineBatch) -> None:
        if self.failing:
            meanwhile, self.meanwhile = self.meanwhile, lambda: None
            meanwhile()
        super().write(batch)


async def put(store: LocalStore, key: bytes) -> None:
    store.writer.put(key, b"v", 0, 0, 0, 0, NOW, Receipt())
    await store.durable()


def guard(store: LocalStore, disk: Disk, engine: MemoryEngine) -> DiskGuard:
    async def reopen() -> None:
        engine.reopen()

    return DiskGuard(disk, store.committer, reopen, ManualClock(), reserve_bytes=100)


async def test_below_the_reserve_writes_are_refused_and_reads_go_on() -> None:
    engine, disk = MemoryEngine(), Disk()
    async with running_store(engine) as store:
        watched = guard(store, disk, engine)
        await put(store, b"before")
        disk.free = 99
        await watched.check()
        assert watched.read_only
        with pytest.raises(
            ReadOnly, match=r"99 bytes left and the node keeps 100 bytes in reserve.*: delete data, add a node"
        ):
            await put(store, b"refused")
        assert store.get(b"before", 0, NOW) is not None
        assert store.get(b"refused", 0, NOW) is None


async def test_writes_resume_a_quarter_above_the_reserve_so_that_the_node_does_not_flap() -> None:
    engine, disk = MemoryEngine(), Disk()
    async with running_store(engine) as store:
        watched = guard(store, disk, engine)
        disk.free = 99
        await watched.check()
        disk.free = 124
        await watched.check()
        assert watched.read_only
        disk.free = 125
        await watched.check()
        assert not watched.read_only
        await put(store, b"after")


async def test_after_a_failed_write_the_engine_is_reopened_once_there_is_room() -> None:
    engine, disk = MemoryEngine(), Disk()
    async with running_store(engine) as store:
        watched = guard(store, disk, engine)
        engine.failing = True
        with pytest.raises(CommitFailed):
            await put(store, b"lost")
        with pytest.raises(ReadOnly):
            await put(store, b"refused")
        disk.free = 10
        await watched.check()
        assert store.committer.intake.failure, "there is no room yet"
        disk.free = 1000
        await watched.check()
        assert store.committer.intake.failure, "there is room, but the disk still fails"
        engine.failing = False
        await watched.check()
        await put(store, b"after")
        assert store.get(b"after", 0, NOW) is not None


async def test_the_guard_keeps_looking_until_it_is_cancelled() -> None:
    engine, disk, clock = MemoryEngine(), Disk(), ManualClock()
    async with running_store(engine) as store:

        async def reopen() -> None:
            engine.reopen()

        watched = DiskGuard(disk, store.committer, reopen, clock, reserve_bytes=100)
        task = asyncio.create_task(watched.run())
        disk.free = 1
        await clock.advance(1.5)
        assert watched.read_only
        disk.free = 1000
        await clock.advance(1.5)
        assert not watched.read_only
        task.cancel()


class Followers:
    """A proposer whose batches are replicated when the test says so."""

    def __init__(self) -> None:
        self.proposed: list[Batch] = []

    def propose(self, batch: Batch) -> None:
        log = batch.partition.log
        log.append(Entry(log.tail, 1, batch.first, batch.keys, batch.records))
        batch.epoch = 1
        self.proposed.append(batch)

    def have(self, batch: Batch, store: LocalStore) -> None:
        batch.partition.log.hand(batch.position)
        batch.advance(REPLICATED)
        store.committer.commit(batch)


async def test_of_a_batch_that_followers_have_nobody_hears_that_nothing_was_done() -> None:
    engine, followers = SlowEngine(), Followers()
    async with running_store(engine, assignment(1), proposer=followers) as store:
        for key in (b"a", b"b"):
            store.writer.put(key, b"v", 0, 0, 0, 0, NOW, Receipt())
            await eventually(lambda key=key: bool(followers.proposed) and followers.proposed[-1].keys == [key])
        first, second = followers.proposed
        engine.failing = True
        engine.meanwhile = lambda: followers.have(second, store)
        followers.have(first, store)
        outcomes = [await batch.outcome() for batch in followers.proposed]
        assert [type(outcome) for outcome in outcomes] == [CommitFailed, CommitFailed]


async def test_what_is_on_its_way_to_disk_when_the_primary_resigns_is_pending_until_it_is_there() -> None:
    engine, followers = SlowEngine(), Followers()
    async with running_store(engine, assignment(1), proposer=followers) as store:
        (partition,) = store.locals
        store.writer.put(b"a", b"v", 0, 0, 0, 0, NOW, Receipt())
        await eventually(lambda: bool(followers.proposed))
        store.writer.put(b"b", b"v", 0, 0, 0, 0, NOW, receipt := Receipt())
        still_pending: list[bool] = []

        def resign() -> None:
            partition.pending.abandon(CommitFailed("deposed"))
            still_pending.append(not partition.pending.is_empty())

        engine.failing = True
        engine.meanwhile = resign
        followers.have(followers.proposed[0], store)
        assert await followers.proposed[0].outcome() is not None
        assert still_pending == [True]
        assert partition.pending.is_empty()
        with pytest.raises(CommitFailed, match="deposed"):
            await receipt.durable()
