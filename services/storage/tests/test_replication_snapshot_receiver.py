"""The receiving end of a snapshot: chunks come one after another, whatever has become of those who sent them."""

import asyncio

import pytest
from kit.machines import WHOLE, A, B, P, Unwatched, info_of, replica_of
from kit.offloads import BlockedOffload
from kit.turns import turns
from typing_extensions import override

from dstk_service.testing import ManualClock, eventually
from dstk_storage.adapters.memory import MemoryEngine
from dstk_storage.domain import layout
from dstk_storage.domain.errors import ReadOnly
from dstk_storage.domain.intake import Intake
from dstk_storage.domain.partition import Partition
from dstk_storage.domain.replication.ports import SnapshotChunk
from dstk_storage.domain.replication.runtime.snapshot_receiver import Installing, SnapshotReceiver
from dstk_storage.domain.room import Room
from dstk_storage.ports import EngineError

RECORD = bytes(18)


class QuickDisk(Installing):
    """Takes everything at once."""

    def __init__(self) -> None:
        self._intake, self._whole_ranges = Intake(), asyncio.Lock()

    @property
    @override
    def intake(self) -> Intake:
        return self._intake

    @property
    @override
    def whole_ranges(self) -> asyncio.Lock:
        return self._whole_ranges

    @override
    def persist_metadata(self, partition: Partition) -> None:
        """Of no interest here."""

    @override
    async def durable(self) -> None:
        await asyncio.sleep(0)


class Home:
    """A follower that receives snapshots."""

    def __init__(self) -> None:
        self.replica = replica_of(B, info_of(A, B, in_sync=(A,)))
        self.engine, self.disk, self.clock, self.thread = MemoryEngine(), QuickDisk(), ManualClock(), BlockedOffload()
        receiver = SnapshotReceiver(
            {P: self.replica}, Unwatched(), self.disk, self.engine, self.thread, self.clock, _drain, _nothing
        )
        self.receive = receiver.receive

    def keys(self) -> list[bytes]:
        with self.engine.iterate(*layout.data_bounds(WHOLE)) as pairs:
            return [key[1:] for key, _ in pairs]


async def _drain() -> None:
    await asyncio.sleep(0)


def _nothing() -> None:
    """Nothing is performed here."""


@pytest.fixture
def home() -> Home:
    return Home()


def chunk(attempt: int, *keys: bytes, first: bool = False) -> SnapshotChunk:
    return SnapshotChunk(P, 1, WHOLE, keys, [RECORD] * len(keys), first, None, attempt)


async def test_a_new_snapshot_empties_the_replica_when_the_chunk_of_an_abandoned_one_is_over(home: Home) -> None:
    await home.receive(chunk(1, first=True))
    home.thread.free.clear()
    abandoned = asyncio.create_task(home.receive(chunk(1, b"old")))
    await eventually(lambda: home.thread.waiting == 1)
    again = asyncio.create_task(home.receive(chunk(2, first=True)))
    await turns()
    assert home.thread.waiting == 1, "the new snapshot waits for its turn"
    home.thread.free.set()
    assert await abandoned
    assert await again
    assert home.keys() == []


async def test_a_chunk_of_an_abandoned_snapshot_that_comes_behind_a_new_one_is_not_taken(home: Home) -> None:
    await home.receive(chunk(1, first=True))
    await home.receive(chunk(2, b"new", first=True))
    assert not await home.receive(chunk(1, b"old"))
    assert home.keys() == [b"new"]


async def test_a_snapshot_waits_for_room_on_a_full_disk_and_is_refused_while_there_is_none(home: Home) -> None:
    await home.receive(chunk(1, first=True))
    home.disk.intake.limit(Room.FULL, ReadOnly("the disk is full"))
    refused = asyncio.create_task(home.receive(chunk(1, b"a")))
    await home.clock.advance(6)
    with pytest.raises(EngineError, match="no room for a snapshot: the disk is full"):
        await refused
    waits = asyncio.create_task(home.receive(chunk(1, b"a")))
    await home.clock.advance(1)
    home.disk.intake.limit(Room.AMPLE, ReadOnly("the disk has room"))
    await home.clock.advance(1)
    assert await waits
    assert home.keys() == [b"a"]


async def test_a_snapshot_goes_on_where_its_earlier_chunks_lie_and_nowhere_else(home: Home) -> None:
    await home.receive(chunk(1, b"a", first=True))
    home.replica.partition.snapshot_attempt = None  # another engine, with nothing of the snapshot
    assert not await home.receive(chunk(1, b"b"))
    home.replica.partition.snapshot_attempt = 1  # the same, after a restart
    assert await home.receive(chunk(1, b"b"))
