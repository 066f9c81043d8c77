"""The disk guard: read-only below the reserve, back again above it, recovery from failed writes."""

import asyncio
from collections.abc import Callable

import pytest

from dstk_service.testing import ManualClock, eventually
from dstk_storage.adapters.memory import MemoryEngine
from dstk_storage.domain.batch import Batch
from dstk_storage.domain.disk import DiskGuard
from dstk_storage.domain.errors import CommitFailed, ReadOnly
from dstk_storage.domain.store import Store
from dstk_storage.ports import Batch as EngineBatch
from dstk_storage.testing import assignment, running_store

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


async def put(store: Store, key: bytes) -> None:
    store.writer.put(key, b"v", 0, 0, 0, 0, NOW)
    await store.committer.durable()


def guard(store: Store, disk: Disk, engine: MemoryEngine) -> DiskGuard:
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
        assert store.committer.intake.failed, "there is no room yet"
        disk.free = 1000
        await watched.check()
        assert store.committer.intake.failed, "there is room, but the disk still fails"
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


async def test_of_a_batch_that_followers_have_nobody_hears_that_nothing_was_done() -> None:
    engine = SlowEngine()
    async with running_store(engine, assignment(1)) as store:
        (partition,) = store.locals
        sealed: list[Batch] = []
        partition.replicate = sealed.append
        for key in (b"a", b"b"):
            store.writer.put(key, b"v", 0, 0, 0, 0, NOW)
            await eventually(lambda key=key: bool(sealed) and sealed[-1].keys == [key])
        engine.failing = True
        engine.meanwhile = lambda: store.committer.ready(sealed[1])
        store.committer.ready(sealed[0])
        outcomes = [await batch.done for batch in sealed]
        assert [type(outcome) for outcome in outcomes] == [CommitFailed, CommitFailed]


async def test_what_is_on_its_way_to_disk_when_the_primary_resigns_is_counted_as_under_way_until_it_is_there() -> None:
    engine = SlowEngine()
    async with running_store(engine, assignment(1)) as store:
        (partition,) = store.locals
        sealed: list[Batch] = []
        partition.replicate = sealed.append
        store.writer.put(b"a", b"v", 0, 0, 0, 0, NOW)
        await eventually(lambda: bool(sealed))
        engine.failing = True
        engine.meanwhile = lambda: store.committer.abandon(partition, [], CommitFailed("deposed"))
        store.committer.ready(sealed[0])
        assert await sealed[0].done is not None
        assert partition.replicating == 0
