"""What the parts of a node that write to disk tell their observer: real engines, a clock that the test moves."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from kit.logs import entry
from kit.offloads import SlowOffload, inline
from kit.stores import LocalStore, assignment, founding, put, serve

from dstk_keytypes import PartitionId
from dstk_service.testing import ManualClock, RecordingObserver
from dstk_storage.adapters.memory import MemoryEngine
from dstk_storage.domain import layout
from dstk_storage.domain.errors import CommitFailed, Corrupt
from dstk_storage.domain.events import GroupCommitted, PartitionQuarantined, RecordsExpired, WriteFailed
from dstk_storage.domain.expiry import ExpiryReaper
from dstk_storage.domain.receipt import Receipt
from dstk_storage.ports import Engine

LOWER, UPPER = PartitionId(1), PartitionId(2)
FSYNC_SECONDS = 0.25


class SlowStore:
    """A store of two partitions whose disk takes a quarter of a second for each write."""

    def __init__(self, engine: Engine) -> None:
        self.clock, self.observer = ManualClock(), RecordingObserver()
        slow = SlowOffload(self.clock, FSYNC_SECONDS)
        self.store = LocalStore(founding(engine), slow, observer=self.observer, monotonic=self.clock.monotonic)
        self.store.load()
        serve(self.store, [assignment(LOWER, end=b"m"), assignment(UPPER, b"m")])

    def put(self, key: bytes, value: bytes, ttl_ms: int = 0) -> Receipt:
        receipt = Receipt()
        put(self.store, key, value, ttl_ms=ttl_ms, now_ms=self.clock.now_ms(), receipt=receipt)
        return receipt

    def follow(self, *keys: bytes) -> int:
        """Another node's primary sends an entry; its size."""
        partition = self.store.local(UPPER)
        assert partition is not None
        log = partition.log
        sent = entry(log.tail, 1, *keys, record=layout.encode_record(b"v", 1, 1, 0))
        log.append(sent)
        log.hand(sent.position)
        self.store.committer.follow(partition, sent)
        return sent.size

    async def finish(self) -> list[GroupCommitted]:
        """Everything is on disk; the engine writes that this took."""
        await self.clock.advance(10 * FSYNC_SECONDS)
        events = self.observer.of(GroupCommitted)
        self.observer.events.clear()
        return events


@asynccontextmanager
async def running(engine: Engine) -> AsyncIterator[SlowStore]:
    node = SlowStore(engine)
    loop = asyncio.create_task(node.store.run())
    await node.finish()  # what the map gives to the node
    try:
        yield node
    finally:
        loop.cancel()
        await asyncio.gather(loop, return_exceptions=True)


async def test_a_group_is_told_with_its_size_and_its_times(engine: Engine) -> None:
    async with running(engine) as node:
        node.put(b"a", bytes(100))
        await node.clock.advance(0.1)
        node.put(b"b", bytes(50))
        node.put(b"z", bytes(20))
        await node.clock.advance(0.05)
        first, second = await node.finish()
    assert (first.batches, first.records, first.bytes) == (1, 1, 101)
    assert (first.wait_seconds, first.write_seconds) == (0.0, pytest.approx(FSYNC_SECONDS))
    assert (second.batches, second.records, second.bytes) == (2, 2, 51 + 21)
    assert second.write_seconds == pytest.approx(FSYNC_SECONDS)


async def test_what_comes_during_a_write_waits_for_the_next_one(engine: Engine) -> None:
    async with running(engine) as node:
        node.put(b"a", b"v")
        await node.clock.advance(0.1)
        sizes = [node.follow(b"x", b"y")]
        await node.clock.advance(0.05)
        sizes.append(node.follow(b"z"))
        _, second = await node.finish()
    assert (second.batches, second.records, second.bytes) == (2, 3, sum(sizes))
    assert second.wait_seconds == pytest.approx(FSYNC_SECONDS - 0.1)


async def test_metadata_alone_is_a_group_without_records(engine: Engine) -> None:
    async with running(engine) as node:
        node.store.committer.put_metadata(b"\x00k", b"v")
        (event,) = await node.finish()
    assert (event.batches, event.records, event.bytes) == (0, 0, 0)
    assert event.write_seconds == pytest.approx(FSYNC_SECONDS)


async def test_a_write_that_the_disk_refuses_is_told_and_is_no_group() -> None:
    engine = MemoryEngine()
    async with running(engine) as node:
        engine.failing = True
        receipt = node.put(b"a", b"v")
        await node.clock.advance(1.0)
        with pytest.raises(CommitFailed):
            await receipt.durable()
        (event,) = node.observer.events
    assert isinstance(event, WriteFailed)
    assert event.reason


async def test_each_step_of_the_reaper_that_finds_something_is_told(engine: Engine) -> None:
    async with running(engine) as node:
        for key in (b"a", b"b", b"c", b"z"):
            node.put(key, b"v", ttl_ms=1000)
        await node.finish()
        partition = node.store.local(UPPER)
        assert partition is not None
        node.store.deactivate(partition)
        await node.clock.advance(2.0)
        reaper = ExpiryReaper(
            node.store.engine,
            inline,
            node.store,
            node.store.writer,
            node.clock,
            step_size=3,
            observer=node.observer,
        )
        counts = []
        for _ in range(4):
            step = asyncio.create_task(reaper.step())
            await node.clock.advance(1.0)
            counts.append(await step)
    assert counts == [3, 1, 1, 1]
    assert node.observer.of(RecordsExpired) == [
        RecordsExpired(3, 0, more=True),
        *[RecordsExpired(0, 1, more=False)] * 3,
    ]


async def test_a_reaper_with_nothing_to_do_tells_nothing(engine: Engine) -> None:
    async with running(engine) as node:
        reaper = ExpiryReaper(
            node.store.engine, inline, node.store, node.store.writer, node.clock, observer=node.observer
        )
        assert await reaper.step() == 0
        assert node.observer.events == []


async def test_a_corrupt_block_that_a_read_meets_quarantines_its_partition_which_is_told_once() -> None:
    engine = MemoryEngine()
    async with running(engine) as node:
        node.put(b"z", b"v")
        await node.finish()
        engine.corrupt.add(b"\x04z")
        for _ in range(2):
            with pytest.raises(Corrupt):
                node.store.get(b"z", 0, node.clock.now_ms())
        (event,) = node.observer.events
    assert isinstance(event, PartitionQuarantined)
    assert event.partition == UPPER
    assert event.reason.startswith("corrupt data: ")
