"""The receiving end of a copy: pieces come one after another, whatever has become of those who sent them."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from dstk_cluster.model import PartitionInfo
from dstk_keytypes import KeyRange, NodeId, PartitionId
from dstk_service.testing import ManualClock
from dstk_storage.adapters.memory import MemoryEngine
from dstk_storage.domain import layout
from dstk_storage.domain.errors import ReadOnly
from dstk_storage.domain.intake import Intake
from dstk_storage.domain.partition import Partition
from dstk_storage.domain.replication.ports import Chunk
from dstk_storage.domain.replication.rebuild import receive
from dstk_storage.domain.replication.replica import Replica
from dstk_storage.domain.room import Room
from dstk_storage.ports import EngineError

P, WHOLE = PartitionId(1), KeyRange(b"", None)
A, B = NodeId("a"), NodeId("b")
RECORD = bytes(18)


class Home:
    """A follower whose disk works as long as `disk` is set; `waiting`: what it has to do."""

    def __init__(self) -> None:
        info = PartitionInfo(P, WHOLE, 1, A, (A, B), (A,))
        self.replicas = {P: Replica(B, info, Partition(P, WHOLE, 1), 1, WHOLE)}
        self.engine, self.disk, self.waiting = MemoryEngine(), asyncio.Event(), 0
        self.disk.set()
        self.orphaned_ranges = SimpleNamespace(turn=asyncio.Lock())
        self.intake = Intake()
        committer = SimpleNamespace(persist_metadata=lambda partition: None, durable=self._nothing, intake=self.intake)
        self.around = SimpleNamespace(store=self, committer=committer, clock=ManualClock())
        self.following = SimpleNamespace(drain=self._nothing)

    async def _nothing(self, *_: Any) -> None:
        await asyncio.sleep(0)

    async def offload(self, call: Any) -> Any:
        self.waiting += 1
        await self.disk.wait()
        self.waiting -= 1
        return call()

    def keys(self) -> list[bytes]:
        with self.engine.iterate(*layout.data_bounds(WHOLE)) as pairs:
            return [key[1:] for key, _ in pairs]


@pytest.fixture
def home() -> Home:
    return Home()


def piece(attempt: int, *keys: bytes, first: bool = False) -> Chunk:
    return Chunk(P, 1, WHOLE, keys, [RECORD] * len(keys), first, None, attempt)


async def test_a_new_copy_empties_the_replica_when_the_piece_of_a_given_up_one_is_over(home: Any) -> None:
    await receive(home, piece(1, first=True))
    home.disk.clear()
    given_up = asyncio.create_task(receive(home, piece(1, b"old")))
    await asyncio.sleep(0.01)
    again = asyncio.create_task(receive(home, piece(2, first=True)))
    await asyncio.sleep(0.01)
    assert home.waiting == 1, "the new copy waits for its turn"
    home.disk.set()
    assert await given_up
    assert await again
    assert home.keys() == []


async def test_a_piece_of_a_given_up_copy_that_comes_behind_a_new_one_is_not_taken(home: Any) -> None:
    await receive(home, piece(1, first=True))
    await receive(home, piece(2, b"new", first=True))
    assert not await receive(home, piece(1, b"old"))
    assert home.keys() == [b"new"]


async def test_a_copy_waits_for_room_on_a_full_disk_and_is_refused_while_there_is_none(home: Any) -> None:
    await receive(home, piece(1, first=True))
    home.intake.limit(Room.FULL, ReadOnly("the disk is full"))
    refused = asyncio.create_task(receive(home, piece(1, b"a")))
    await home.around.clock.advance(6)
    with pytest.raises(EngineError, match="no room for a copy: the disk is full"):
        await refused
    waits = asyncio.create_task(receive(home, piece(1, b"a")))
    await home.around.clock.advance(1)
    home.intake.limit(Room.AMPLE, ReadOnly("the disk has room"))
    await home.around.clock.advance(1)
    assert await waits
    assert home.keys() == [b"a"]


async def test_a_copy_goes_on_where_what_was_sent_before_lies_and_nowhere_else(home: Any) -> None:
    await receive(home, piece(1, b"a", first=True))
    home.replicas[P].partition.copied_by = None  # another engine, to which nothing was copied
    assert not await receive(home, piece(1, b"b"))
    home.replicas[P].partition.copied_by = 1  # the same, after a restart
    assert await receive(home, piece(1, b"b"))
