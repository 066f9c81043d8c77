"""What an export gives while writes go on: played back, it must give what the partition has."""

import asyncio
from dataclasses import dataclass

import pytest
from kit.logs import entry
from kit.machines import WHOLE
from kit.offloads import at_once
from typing_extensions import override

from dstk_storage.adapters.memory import MemoryEngine
from dstk_storage.domain import layout, range_export
from dstk_storage.domain.apply import apply_records
from dstk_storage.domain.history import History
from dstk_storage.domain.log import PartitionLog
from dstk_storage.domain.range_export import LogEvicted, Pace, RangeExport

KEYS = [b"k%d" % number for number in range(6)]


@dataclass
class FakePace(Pace):
    """Reads ahead or rests, at a moment that does not pass."""

    reads_ahead: bool
    rested: int = 0

    @override
    def may_read_ahead(self) -> bool:
        return self.reads_ahead

    @override
    async def rest(self, begun: float) -> None:
        assert begun == self.now()
        self.rested += 1

    @override
    def now(self) -> float:
        return 7.0


class Written:
    """Records on disk and their log."""

    def __init__(self) -> None:
        self.engine, self.log, self.writes = MemoryEngine(), PartitionLog(), 0
        self.history = History()
        for key in KEYS:
            self.write(key)

    def export(self, pace: Pace) -> RangeExport:
        return RangeExport(self.engine, at_once, self.durable, self.log, pace)

    async def durable(self) -> None:
        self.log.applied(self.history)

    def write(self, key: bytes, *, told: bool = True) -> None:
        """To disk; `told`: the log knows it at once."""
        self.writes += 1
        batch, added = self.engine.batch(), entry(self.log.tail, 1, key, record=b"\x01\x00write %d" % self.writes)
        apply_records(added.keys, added.records, batch)
        self.engine.write(batch)
        self.log.append(added)
        self.log.hand(added.position)
        self.history = self.log.history.extended(1, added.first, added.first)
        if told:
            self.log.applied(self.history)

    def holds(self) -> dict[bytes, bytes]:
        with self.engine.iterate(*layout.data_bounds(WHOLE)) as pairs:
            return {key[1:]: record for key, record in pairs}


@pytest.mark.parametrize("rewritten", KEYS)
@pytest.mark.parametrize("during", range(1, len(KEYS) + 1))
@pytest.mark.parametrize("reads_ahead", [False, True])
async def test_a_key_that_is_written_while_pages_are_used_is_not_set_back(
    rewritten: bytes, during: int, reads_ahead: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(range_export, "PAGE_RECORDS", 1)
    partition, pace, played, pieces = Written(), FakePace(reads_ahead), dict[bytes, bytes](), 0
    export = partition.export(pace)
    async for keys, records in export.pieces(WHOLE):
        played |= dict(zip(keys, records, strict=True))
        pieces += 1
        if pieces == during:
            await asyncio.sleep(0)  # the next page is read first, when it is read ahead
            partition.write(rewritten)
    behind = partition.log.entries_after(export.history.position) or []
    played |= {key: each.records[0] for each in behind for key in each.keys}
    assert played == partition.holds()
    assert bool(pace.rested) == (not reads_ahead)


async def test_an_export_ends_at_no_position_before_what_its_pages_show() -> None:
    """A page may show a write that is on disk, and of which the log is about to be told."""
    partition, pace = Written(), FakePace(reads_ahead=True)
    partition.write(KEYS[0], told=False)
    export = partition.export(pace)
    played = {
        key: record async for keys, records in export.pieces(WHOLE) for key, record in zip(keys, records, strict=True)
    }
    assert played == partition.holds()
    assert export.history == partition.history


async def test_an_export_that_the_logs_tail_does_not_reach_begins_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(range_export, "PAGE_RECORDS", 1)
    partition, pace = Written(), FakePace(reads_ahead=False)
    pieces = partition.export(pace).pieces(WHOLE)
    await anext(pieces)
    for _ in range(2):
        partition.write(KEYS[0])
    partition.log.clear(partition.log.position)
    with pytest.raises(LogEvicted):
        await anext(pieces)


async def test_an_empty_partition_is_an_export_without_pieces_but_one_page() -> None:
    partition, pace = Written(), FakePace(reads_ahead=False)
    empty = RangeExport(MemoryEngine(), at_once, partition.durable, PartitionLog(), pace)
    assert [piece async for piece in empty.pieces(WHOLE)] == [([], [])]
