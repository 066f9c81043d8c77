"""A corrupt engine is emptied only when it is known that no partition depends on it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from typing_extensions import override

from dstk_keytypes import PartitionId
from dstk_service.testing import ManualClock, RecordingObserver, eventually
from dstk_storage.adapters.memory import MemoryEngine
from dstk_storage.domain.engine_reset import EngineReset, InSyncSets
from dstk_storage.domain.events import CorruptionFound
from dstk_storage.ports import EngineError

P = PartitionId(1)


class FakeInSyncSets(InSyncSets):
    """What the map says of this node, as the test sets it."""

    def __init__(self) -> None:
        self.mapped = asyncio.Event()
        self.only_here: list[PartitionId] = []
        self.is_out = True
        self.leaving = False
        self.restarts = 0

    @override
    async def known(self) -> None:
        await self.mapped.wait()

    @override
    def sole(self) -> list[PartitionId]:
        return self.only_here

    @override
    @asynccontextmanager
    async def left(self) -> AsyncIterator[bool]:
        self.leaving = True
        yield self.is_out
        self.leaving = False

    @override
    def restart_empty(self) -> None:
        assert self.leaving, "this node must take nothing over meanwhile"
        self.restarts += 1


class Corrupt:
    """A node with a corrupt engine."""

    def __init__(self) -> None:
        self.engine, self.in_sync = MemoryEngine(), FakeInSyncSets()
        self.engine.corruption = "found by the expiry reaper"
        self.error: EngineError | None = None
        self.reasons: list[str] = []
        self.observer = RecordingObserver()
        self.reset = EngineReset(self.engine, self.in_sync, self._replace, ManualClock(), self.observer)

    async def _replace(self, why: str) -> None:
        self.reasons.append(why)
        if self.error is not None:
            raise self.error
        self.engine.reset({}, keep=False)


async def test_before_the_map_is_known_nothing_is_thrown_away() -> None:
    node = Corrupt()
    task = asyncio.create_task(node.reset.run())
    for _ in range(10):
        await asyncio.sleep(0)
    assert not node.in_sync.restarts
    node.in_sync.mapped.set()
    await eventually(lambda: node.in_sync.restarts == 1)
    assert node.reasons == ["corrupt data: found by the expiry reaper"]
    assert not node.engine.corruption
    task.cancel()


async def test_the_only_replica_in_sync_is_kept_and_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    node = Corrupt()
    node.in_sync.only_here = [P]
    assert not await node.reset.reset()
    assert not await node.reset.reset()
    assert not node.reasons
    assert caplog.text.count("no other replica in sync") == 1


async def test_nothing_is_reset_while_an_in_sync_set_still_names_the_node() -> None:
    node = Corrupt()
    node.in_sync.is_out = False
    assert not await node.reset.reset()
    assert not node.reasons
    node.in_sync.is_out = True
    assert await node.reset.reset()


async def test_an_engine_that_cannot_be_replaced_is_tried_again() -> None:
    node = Corrupt()
    node.error = EngineError("No space left on device")
    assert not await node.reset.reset()
    assert not node.in_sync.restarts
    assert not node.in_sync.leaving
    node.error = None
    assert await node.reset.reset()
    assert node.in_sync.restarts == 1


async def test_observers_are_told_once_of_each_corruption() -> None:
    node = Corrupt()
    node.in_sync.only_here = [P]
    await node.reset.reset()
    await node.reset.reset()
    assert node.observer.events == [CorruptionFound("found by the expiry reaper")]
    node.in_sync.only_here = []
    assert await node.reset.reset()
    node.engine.corruption = "found in the new engine"
    await node.reset.reset()
    assert node.observer.events[1:] == [CorruptionFound("found in the new engine")]
