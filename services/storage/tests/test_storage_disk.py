"""The disk guard: read-only below the reserve, back again above it, recovery from failed writes."""

import asyncio

import pytest
from kit.engines import InterruptedEngine
from kit.free_space import FakeDisk
from kit.proposers import FollowedProposer
from kit.stores import NOW, LocalStore, assignment, put, put_durably, running_store

from dstk_service.testing import ManualClock, eventually
from dstk_storage.adapters.memory import MemoryEngine
from dstk_storage.domain.disk import DiskGuard
from dstk_storage.domain.errors import CommitFailed, ReadOnly
from dstk_storage.domain.receipt import Receipt


def guard(store: LocalStore, disk: FakeDisk, engine: MemoryEngine) -> DiskGuard:
    async def reopen() -> None:
        engine.reopen()

    return DiskGuard(disk, store.committer, reopen, ManualClock(), reserve_bytes=100)


async def test_below_the_reserve_writes_are_refused_and_reads_go_on() -> None:
    engine, disk = MemoryEngine(), FakeDisk(1000)
    async with running_store(engine) as store:
        watched = guard(store, disk, engine)
        await put_durably(store, b"before")
        disk.free = 99
        await watched.check()
        assert watched.read_only
        with pytest.raises(
            ReadOnly, match=r"99 bytes left and the node keeps 100 bytes in reserve.*: delete data, add a node"
        ):
            await put_durably(store, b"refused")
        assert store.get(b"before", 0, NOW) is not None
        assert store.get(b"refused", 0, NOW) is None


async def test_writes_resume_a_quarter_above_the_reserve_so_that_the_node_does_not_flap() -> None:
    engine, disk = MemoryEngine(), FakeDisk(1000)
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
        await put_durably(store, b"after")


async def test_after_a_failed_write_the_engine_is_reopened_once_there_is_room() -> None:
    engine, disk = MemoryEngine(), FakeDisk(1000)
    async with running_store(engine) as store:
        watched = guard(store, disk, engine)
        engine.failing = True
        with pytest.raises(CommitFailed):
            await put_durably(store, b"lost")
        with pytest.raises(ReadOnly):
            await put_durably(store, b"refused")
        disk.free = 10
        await watched.check()
        assert store.committer.intake.failure, "there is no room yet"
        disk.free = 1000
        await watched.check()
        assert store.committer.intake.failure, "there is room, but the disk still fails"
        engine.failing = False
        await watched.check()
        await put_durably(store, b"after")
        assert store.get(b"after", 0, NOW) is not None


async def test_the_guard_keeps_looking_until_it_is_cancelled() -> None:
    engine, disk, clock = MemoryEngine(), FakeDisk(1000), ManualClock()
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
    engine, followers = InterruptedEngine(), FollowedProposer()
    async with running_store(engine, assignment(1), proposer=followers) as store:
        for key in (b"a", b"b"):
            put(store, key)
            await eventually(lambda key=key: bool(followers.batches) and followers.batches[-1].keys == [key])
        first, second = followers.batches
        engine.failing = True
        engine.meanwhile = lambda: followers.replicate(second, store.committer)
        followers.replicate(first, store.committer)
        outcomes = [await batch.outcome() for batch in followers.batches]
        assert [type(outcome) for outcome in outcomes] == [CommitFailed, CommitFailed]


async def test_what_is_on_its_way_to_disk_when_the_primary_resigns_is_pending_until_it_is_there() -> None:
    engine, followers = InterruptedEngine(), FollowedProposer()
    async with running_store(engine, assignment(1), proposer=followers) as store:
        (partition,) = store.locals
        put(store, b"a")
        await eventually(lambda: bool(followers.batches))
        put(store, b"b", receipt=(receipt := Receipt()))
        still_pending: list[bool] = []

        def resign() -> None:
            partition.pending.abandon(CommitFailed("deposed"))
            still_pending.append(not partition.pending.is_empty())

        engine.failing = True
        engine.meanwhile = resign
        followers.replicate(followers.batches[0], store.committer)
        assert await followers.batches[0].outcome() is not None
        assert still_pending == [True]
        assert partition.pending.is_empty()
        with pytest.raises(CommitFailed, match="deposed"):
            await receipt.durable()
