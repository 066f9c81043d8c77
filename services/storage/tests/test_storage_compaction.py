"""Deleted records give their space back: what is counted, when a range is compacted, in which pieces, and for whom it waits."""

from bisect import bisect_left
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.engines import RecordingEngine
from kit.free_space import FakeDisk
from kit.offloads import inline
from kit.stores import NOW, LocalStore, assignment, delete_orphaned, empty, fill, running_store

from dstk_keytypes import KeyRange
from dstk_service.clock import SystemClock
from dstk_service.testing import ManualClock, RecordingObserver
from dstk_storage.adapters.leveldb import LevelDBEngine, LevelDBOptions
from dstk_storage.adapters.memory import MemoryEngine
from dstk_storage.domain import layout
from dstk_storage.domain.compaction import FEWEST_BYTES, INDEX, Compactor, cut, next_prefix
from dstk_storage.domain.errors import ReadOnly
from dstk_storage.domain.events import RangeCompacted
from dstk_storage.domain.receipt import Receipt
from dstk_storage.domain.room import Room
from dstk_storage.domain.store import Store
from dstk_storage.ports import Engine

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
T = TypeVar("T")


def compactor(store: LocalStore, engine: Engine, disk: FakeDisk | None = None) -> Compactor:
    return Compactor(engine, inline, store, disk or FakeDisk(GIB), SystemClock())


def size_of(path: Path) -> int:
    return sum(file.stat().st_size for file in path.iterdir())


async def test_what_was_deleted_takes_no_space_any_more(tmp_path: Path) -> None:
    engine = LevelDBEngine.make(tmp_path / "db", LevelDBOptions(write_buffer=MIB), {})
    async with running_store(engine) as store:
        keys = await fill(store, 20_000, KIB)
        await empty(store, keys[1000:])
        assert size_of(tmp_path / "db") > 15 * MIB
        (partition,) = store.locals
        assert partition.garbage == pytest.approx(19_000 * KIB, rel=0.1)
        await compactor(store, engine).look()
        assert size_of(tmp_path / "db") < 3 * MIB, "a twentieth is left, and the log"
        assert partition.garbage == 0
        assert store.get(keys[0], 0, NOW) is not None
    engine.close()


async def test_files_that_were_read_during_a_compaction_are_deleted_when_the_reader_has_left(tmp_path: Path) -> None:
    engine = LevelDBEngine.make(tmp_path / "db", LevelDBOptions(write_buffer=MIB), {})
    async with running_store(engine) as store:
        await empty(store, await fill(store, 10_000, KIB))
        compacts = compactor(store, engine)
        with engine.iterate(b"", None) as pairs:
            next(pairs)
            await compacts.look()
            await compacts.look()
            assert size_of(tmp_path / "db") > 8 * MIB, "whoever reads keeps the files"
        await compacts.look()
        assert size_of(tmp_path / "db") < MIB
    engine.close()


async def test_what_has_expired_takes_no_space_any_more_nor_does_its_index(tmp_path: Path) -> None:
    engine = LevelDBEngine.make(tmp_path / "db", LevelDBOptions(write_buffer=MIB), {})
    async with running_store(engine) as store:
        keys = await fill(store, 40_000, 100, ttl_ms=1, prefix=b"k" * 60)
        for key in keys:
            store.writer.expire(key, NOW + 1, NOW + 1, Receipt())
        await store.durable()
        assert store.committer.garbage.index == pytest.approx(40_000 * 76, rel=0.1)
        await compactor(store, engine).look()
        assert size_of(tmp_path / "db") < MIB
        assert store.committer.garbage.index == 0
        assert engine.approximate_size(*INDEX) == 0
    engine.close()


async def test_a_range_that_moved_away_gives_its_space_back(tmp_path: Path) -> None:
    engine = LevelDBEngine.make(tmp_path / "db", LevelDBOptions(write_buffer=MIB), {})
    async with running_store(engine, assignment(1, b"", b"m"), assignment(2, b"m")) as store:
        await fill(store, 5000, KIB)
        store.converge([assignment(2, b"m")])
        await delete_orphaned(store)
        assert store.orphaned_ranges.emptied == [KeyRange(b"", b"m")]
        again = Store(engine, inline, store.committer, ManualClock().monotonic)
        again.load()
        assert again.orphaned_ranges.emptied == [KeyRange(b"", b"m")], "it is not forgotten by a restart"
        await compactor(store, engine).look()
        assert size_of(tmp_path / "db") < MIB
        assert store.orphaned_ranges.emptied == []
    engine.close()


async def test_garbage_is_remembered_across_a_restart_and_split_with_its_range() -> None:
    engine = MemoryEngine()
    async with running_store(engine) as store:
        await empty(store, await fill(store, 320, KIB))
        (partition,) = store.locals
        found = partition.garbage
        assert found > 300 * KIB
        store.remember_garbage()
        await store.durable()
    async with running_store(engine) as again:
        (partition,) = again.locals
        assert partition.garbage == found


@pytest.mark.parametrize(
    ("deleted", "room", "begins"), [(2500, 0, True), (1300, 0, False), (1300, 1, True), (600, 1, False)]
)
async def test_a_range_is_compacted_when_a_quarter_was_deleted_and_on_a_full_disk_sooner(
    deleted: int, room: int, begins: bool
) -> None:
    engine = RecordingEngine()
    async with running_store(engine) as store:
        keys = await fill(store, 10_000, KIB)
        await empty(store, keys[:deleted])
        store.committer.intake.limit(Room(room), ReadOnly("full"))
        await compactor(store, engine).look()
        assert bool(engine.compacted) == begins


async def test_overwritten_records_alone_have_nothing_compacted() -> None:
    engine = RecordingEngine()
    async with running_store(engine) as store:
        for _ in range(3):
            await fill(store, 3000, KIB)
        await compactor(store, engine).look()
        assert engine.compacted == []


async def test_pieces_are_a_quarter_of_the_free_space_and_follow_each_other() -> None:
    engine, disk = RecordingEngine(), FakeDisk(GIB)
    disk.free = 8 * MIB
    async with running_store(engine) as store:
        keys = await fill(store, 20_000, KIB)
        await empty(store, keys[::2])
        await compactor(store, engine, disk).look()
        bounds = layout.data_bounds(KeyRange.everything())
        assert engine.compacted[0][0] == bounds[0]
        assert engine.compacted[-1][1] == bounds[1]
        ends = [end for _, end in engine.compacted]
        assert [start for start, _ in engine.compacted[1:]] == ends[:-1]
        assert all(engine.approximate_size(*piece) <= 2 * MIB for piece in engine.compacted)
        assert len(engine.compacted) < 20


async def test_without_room_for_a_piece_nothing_is_compacted_and_it_is_said_what_is_missing() -> None:
    engine, disk = RecordingEngine(), FakeDisk(GIB)
    disk.free = 4 * FEWEST_BYTES - 1
    async with running_store(engine) as store:
        await empty(store, await fill(store, 2000, KIB))
        with pytest.raises(ReadOnly, match="compaction needs 4"):
            await compactor(store, engine, disk).look()
        assert engine.compacted == []


async def test_by_hand_everything_is_compacted_the_index_first_and_not_again_by_itself(tmp_path: Path) -> None:
    engine = LevelDBEngine.make(tmp_path / "db", LevelDBOptions(write_buffer=MIB), {})
    async with running_store(engine) as store:
        await empty(store, await fill(store, 3000, KIB, ttl_ms=1000))
        by_hand = compactor(store, engine)
        done = await by_hand.some(KeyRange.everything())
        assert done.resume is None
        assert done.before > 2 * MIB > done.after
        (partition,) = store.locals
        assert (partition.garbage, store.committer.garbage.index) == (0, 0)
        assert (await by_hand.some(KeyRange(b"a", b"b"))).before == 0
    engine.close()


async def test_by_hand_it_goes_on_where_it_has_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, disk = RecordingEngine(), FakeDisk(GIB)
    disk.free = 4 * MIB
    async with running_store(engine) as store:
        await fill(store, 5000, KIB)
        clock = ManualClock()
        by_hand = Compactor(engine, inline, store, disk, clock)
        readings = iter(range(100))
        monkeypatch.setattr(clock, "monotonic", lambda: float(next(readings)))
        resume, calls = b"", 0
        while True:
            compacted = await by_hand.some(KeyRange.everything(), resume)
            calls += 1
            if compacted.resume is None:
                break
            assert compacted.left > 0
            resume = compacted.resume
        assert calls > 2
        starts = [start for start, _ in engine.compacted]
        assert starts == sorted(set(starts)), "no piece twice"


@given(
    st.lists(st.binary(min_size=1, max_size=4), min_size=1, max_size=40, unique=True),
    st.integers(1, 50),
    st.binary(max_size=3),
)
def test_a_range_is_cut_into_pieces_that_cover_it_and_are_small(keys: list[bytes], limit: int, start: bytes) -> None:
    """Each key weighs 1 to 9."""
    ordered = sorted(keys)
    sums = [0, *accumulate(len(key) * 2 for key in ordered)]

    def size(low: bytes, high: bytes) -> int:
        return max(0, sums[bisect_left(ordered, high)] - sums[bisect_left(ordered, low)])

    at, stop, pieces = start, b"\xff" * 5, 0
    while at < stop:
        end = cut(size, at, stop, limit)
        assert at < end <= stop
        assert size(at, end) <= max(limit, 8), "a single key may be more"
        at, pieces = end, pieces + 1
        assert pieces <= 200


def test_the_first_key_behind_a_prefix() -> None:
    assert next_prefix(b"ab") == b"ac"
    assert next_prefix(b"a\xff\xff") == b"b"
    assert next_prefix(b"\xff") is None


async def test_observers_are_told_of_each_piece(tmp_path: Path) -> None:
    clock, observer = ManualClock(), RecordingObserver()

    async def slow(call: Callable[[], T], /) -> T:
        await clock.advance(2.0)
        return call()

    engine = LevelDBEngine.make(tmp_path / "db", LevelDBOptions(write_buffer=MIB), {})
    async with running_store(engine) as store:
        keys = await fill(store, 4000, KIB)
        await empty(store, keys[400:])
        made = Compactor(engine, slow, store, FakeDisk(GIB), clock, observer)
        piece = await made.piece(*layout.data_bounds(KeyRange.everything()))
    engine.close()
    (event,) = observer.events
    assert event == RangeCompacted(piece.before, piece.after, pytest.approx(2.0))
    assert event.bytes_before > 2 * MIB > MIB > event.bytes_after > 300 * KIB


async def test_a_piece_that_there_is_no_room_for_is_no_event() -> None:
    engine, observer, disk = RecordingEngine(), RecordingObserver(), FakeDisk(GIB)
    disk.free = FEWEST_BYTES
    async with running_store(engine) as store:
        made = Compactor(engine, inline, store, disk, SystemClock(), observer)
        with pytest.raises(ReadOnly):
            await made.piece(*INDEX)
    assert observer.events == []
