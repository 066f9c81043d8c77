"""What is left of partitions that the node holds no more, and its deletion."""

import asyncio

import pytest
from kit.expiring import put_expiring
from kit.offloads import BlockedOffload, inline
from kit.stores import LocalStore, assignment, delete_orphaned, founding, put_durably, running_store, serve

from dstk_keytypes import KeyRange, PartitionId
from dstk_storage.adapters.memory import MemoryEngine
from dstk_storage.domain import layout
from dstk_storage.domain.batch import Outcome
from dstk_storage.domain.errors import CommitFailed
from dstk_storage.domain.orphaned_ranges import STEP_RECORDS, OrphanedRanges
from dstk_storage.ports import Engine

ONE = PartitionId(1)
RECORD = layout.DATA + b"k"


class Memory:
    """Metadata that is on disk at once."""

    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}

    def remember(self, key: bytes, value: bytes) -> "asyncio.Future[Outcome]":
        self.values[key] = value
        done: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done


async def test_orphaned_ranges_are_deleted_in_steps_with_their_index_and_nothing_else(engine: Engine) -> None:
    keys = [b"%05d" % number for number in range(STEP_RECORDS + 10)]
    put_expiring(engine, [*keys, b"x"])
    memory = Memory()
    left = OrphanedRanges(engine, inline, memory.remember)
    left.change([KeyRange(b"0", b"1")], [])
    await left.step()
    again = OrphanedRanges(engine, inline, memory.remember)
    again.load(memory.values[layout.ORPHANED_RANGES])
    assert again.ranges == [KeyRange(b"0", b"1")]
    await again.step()
    assert again.ranges == []
    with engine.iterate(layout.EXPIRY, layout.DATA_END) as pairs:
        assert [key for key, _ in pairs] == [layout.expiry_key(5, b"x"), layout.DATA + b"x"]


async def test_a_range_that_comes_back_is_left_alone(engine: Engine) -> None:
    put_expiring(engine, [b"a", b"b"])
    left = OrphanedRanges(engine, inline, Memory().remember)
    left.change([KeyRange(b"a", b"c")], [])
    left.change([], [KeyRange(b"b", b"c")])
    assert left.ranges == [KeyRange(b"a", b"b")]
    await left.step()
    assert engine.get(layout.DATA + b"b") is not None
    assert engine.get(layout.DATA + b"a") is None


async def test_index_entries_of_ranges_that_are_gone_are_deleted_and_others_are_left(engine: Engine) -> None:
    """A range is deleted with the entries of its records; those of records that were overwritten lie elsewhere in the index."""
    left = OrphanedRanges(engine, inline, Memory().remember)
    batch = engine.batch()
    entries = [(5, b"gone"), (5, b"held"), (7, b"gone")]
    for entry in entries:
        batch.put(layout.expiry_key(*entry), b"")
    engine.write(batch)
    assert await left.delete_entries(entries[:2], lambda key: key == b"held") == 1
    with engine.iterate(layout.EXPIRY, layout.expiry_key(9, b"")) as pairs:
        assert [layout.decode_expiry_key(key) for key, _ in pairs] == [(5, b"held"), (7, b"gone")]


async def test_before_a_store_knows_what_lies_on_its_disk_it_counts_everything_as_held(engine: Engine) -> None:
    """Else the reaper of a node that starts would delete the expiry index before the partitions are read."""
    store = LocalStore(engine, inline)
    assert store.is_held(b"k")
    store.load()
    assert not store.is_held(b"k")
    store.converge([assignment(1, b"a", b"m")])
    assert (store.is_held(b"k"), store.is_held(b"z")) == (True, False)


async def test_a_failed_write_that_the_disk_kept_leaves_nothing_in_a_range_that_is_forgotten() -> None:
    engine = MemoryEngine()
    async with running_store(engine) as store:
        await store.durable()
        engine.failing = engine.keeps_failed = True
        with pytest.raises(CommitFailed):
            await put_durably(store, b"k")
        store.converge([])
        await store.orphaned_ranges.step()
        engine.failing = False
        engine.reopen()
        store.committer.intake.recovered()
        assert engine.get(RECORD) is not None, "the failed write is there all the same"
        await delete_orphaned(store)
        assert engine.get(RECORD) is None


async def test_nothing_is_deleted_while_the_disk_still_has_the_partition() -> None:
    """A crash in between would leave a partition that says that it is whole, without its records."""
    engine, thread = MemoryEngine(), BlockedOffload()
    store = LocalStore(founding(engine), thread)
    orphaned = store.orphaned_ranges = OrphanedRanges(engine, inline, store.committer.put_metadata)
    store.load()
    serve(store, [assignment(1)])
    async with asyncio.TaskGroup() as tasks:
        loop = tasks.create_task(store.run())
        await put_durably(store, b"k")
        thread.free.clear()
        store.converge([])
        assert not await orphaned.step()
        assert await orphaned.delete_entries([(5, b"k")], lambda _key: False) == 0
        assert engine.get(layout.range_key(ONE)) is not None
        assert engine.get(RECORD) is not None
        thread.free.set()
        await delete_orphaned(store)
        assert engine.get(layout.range_key(ONE)) is None
        assert engine.get(RECORD) is None
        loop.cancel()


async def test_a_snapshot_that_ends_when_its_partition_has_moved_away_leaves_no_partition_on_disk() -> None:
    engine = MemoryEngine()
    async with running_store(engine) as store:
        await store.durable()
        (installed,) = store.locals
        store.converge([])
        await store.committer.persist_metadata(installed)
        assert engine.get(layout.range_key(ONE)) is None
