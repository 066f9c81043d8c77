"""What a primary makes of a map that is not as it thought."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from dstk_cluster.model import PartitionInfo
from dstk_keytypes import KeyRange, NodeId, PartitionId
from dstk_service.clock import SystemClock
from dstk_storage.domain.partition import Partition
from dstk_storage.domain.replication.changes import Changes
from dstk_storage.domain.replication.replica import Replica

A, B, C = NodeId("a"), NodeId("b"), NodeId("c")
BEFORE = PartitionInfo(PartitionId(1), KeyRange(b"", None), 2, A, (A, B, C), (A, B, C))


class World:
    """A primary, and the map as it is."""

    def __init__(self) -> None:
        partition = Partition(BEFORE.id, BEFORE.range, BEFORE.epoch)
        self.replica = Replica(A, BEFORE, partition, 2, BEFORE.range)
        self.replica.lead(2, BEFORE.in_sync, BEFORE.replicas, 0.0)
        self.entry = BEFORE
        self.around = SimpleNamespace(map_changer=self, clock=SystemClock())
        self.changes = Changes(self)  # type: ignore[arg-type]

    async def change(self, old: PartitionInfo, new: PartitionInfo) -> bool:
        del new
        return old == self.entry

    async def read(self, partition: PartitionId) -> PartitionInfo:
        del partition
        return self.entry

    def resign(self, replica: Replica) -> None:
        replica.resign()


@pytest.fixture
def world() -> World:
    return World()


async def test_what_another_has_changed_ends_the_office_and_is_learnt_from_the_watch(world: World) -> None:
    """By an entry before this one it may have been removed, and will drop everything when the watch tells of it."""
    world.entry = replace(BEFORE, epoch=10, primary=B, in_sync=(B, C))
    assert not await world.changes.change(world.replica, replace(BEFORE, epoch=3, in_sync=(A, C)))
    assert world.replica.primary is None
    assert world.replica.promised == 10
    assert world.replica.info == BEFORE, "else it would answer as one that knows why it is a replica"


async def test_a_change_of_its_own_that_has_worked_unnoticed_is_gone_on_with(world: World) -> None:
    primary = world.replica.primary
    assert primary is not None
    world.entry = replace(BEFORE, epoch=3, in_sync=(A, C))
    primary.attempts.append(world.entry)
    assert not await world.changes.change(world.replica, replace(BEFORE, epoch=3, in_sync=(A, B)))
    assert world.replica.primary is primary
    assert world.replica.info == world.entry
    assert (primary.epoch, primary.required()) == (3, [C])
