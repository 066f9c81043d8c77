"""What a copy sends, while writes go on: played back, it must give what its primary has."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from dstk_cluster.model import PartitionInfo
from dstk_keytypes import KeyRange, NodeId, PartitionId
from dstk_service.clock import SystemClock
from dstk_storage.adapters.memory import MemoryEngine
from dstk_storage.domain import layout
from dstk_storage.domain.apply import apply_records
from dstk_storage.domain.history import History
from dstk_storage.domain.log import Entry
from dstk_storage.domain.partition import Partition
from dstk_storage.domain.replication import rebuild
from dstk_storage.domain.replication.ports import Chunk
from dstk_storage.domain.replication.rebuild import Rebuild
from dstk_storage.domain.replication.replica import Progress, Replica

P, WHOLE = PartitionId(1), KeyRange(b"", None)
A, B = NodeId("a"), NodeId("b")
KEYS = [b"k%d" % number for number in range(6)]
HEADER = b"\x01\x00"


class World:
    """A primary on which a key is written while one piece of a copy is on its way."""

    def __init__(self, rewritten: bytes, during: int) -> None:
        info = PartitionInfo(P, WHOLE, 1, A, (A, B), (A,))
        self.replica = Replica(A, info, Partition(P, WHOLE, 1), 1, WHOLE)
        self.engine, self.rewritten, self.writes = MemoryEngine(), rewritten, 0
        self.pieces, self.during = 0, during
        self.taken: list[tuple[bytes, bytes]] = []
        self.history_at_the_end: History | None = None
        self.written: History | None = None
        around = SimpleNamespace(store=self, clock=SystemClock(), peers=self, committer=self)
        self.around = around
        for key in KEYS:
            self.write(key)

    def next_attempt(self) -> int:
        return 1

    async def durable(self) -> None:
        if self.written is not None:
            self.replica.log.applied(self.written)

    async def offload(self, call: Any) -> Any:
        return call()

    def operations(self) -> int:
        return 0

    def write(self, key: bytes, *, told: bool = True) -> None:
        """To disk; `told`: the partition knows it at once."""
        self.writes += 1
        log, batch = self.replica.log, self.engine.batch()
        record = HEADER + b"write %d" % self.writes
        entry = Entry(log.tail, 1, log.assign(1), [key], [record])
        apply_records(entry.keys, entry.records, batch)
        self.engine.write(batch)
        log.append(entry)
        log.hand(entry.position)
        self.written = log.history.extended(1, entry.first, entry.first)
        if told:
            log.applied(self.written)

    async def install_snapshot(self, node: NodeId, chunk: Chunk) -> None:
        self.taken += zip(chunk.keys, chunk.records, strict=True)
        self.history_at_the_end = chunk.history
        self.pieces += 1
        if self.pieces == self.during:
            await asyncio.sleep(0)  # the next page is read first
            self.write(self.rewritten)

    def has(self) -> dict[bytes, bytes]:
        with self.engine.iterate(*layout.data_bounds(WHOLE)) as pairs:
            return {key[1:]: record for key, record in pairs}


@pytest.mark.parametrize("rewritten", KEYS)
@pytest.mark.parametrize("during", range(1, len(KEYS) + 2))
@pytest.mark.parametrize("busy", [False, True])
async def test_a_key_that_is_written_while_pages_are_under_way_is_not_set_back(
    rewritten: bytes, during: int, busy: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuild, "PAGE_RECORDS", 1)
    monkeypatch.setattr(rebuild, "CALM_OPERATIONS", -1 if busy else 0)
    monkeypatch.setattr(rebuild, "BUSY_SHARE", 1.0)
    world = World(rewritten, during)
    primary, progress = SimpleNamespace(won=1, epoch=1), Progress()
    primary.followers = {B: progress}
    world.replica.primary = primary
    await Rebuild(world, world.replica, primary, B, progress).run()
    assert world.history_at_the_end is not None
    assert not progress.known
    behind = world.replica.log.entries_after(world.history_at_the_end.position) or []
    played = dict(world.taken) | {key: entry.records[0] for entry in behind for key in entry.keys}
    assert played == world.has()


async def test_a_copy_stands_nowhere_before_what_its_pages_show() -> None:
    """A page may show a write that is on disk, and of which the partition is about to be told."""
    world = World(KEYS[0], during=0)
    world.write(KEYS[0], told=False)
    primary, progress = SimpleNamespace(won=1, epoch=1), Progress()
    primary.followers = {B: progress}
    world.replica.primary = primary  # type: ignore[assignment]
    await Rebuild(world, world.replica, primary, B, progress).run()  # type: ignore[arg-type]
    assert dict(world.taken) == world.has()
    assert world.history_at_the_end == world.written
