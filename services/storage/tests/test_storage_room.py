"""What a disk still takes: thresholds that do not flap, and refusals by what is written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.stores import NOW, running_store

from dstk_storage.adapters.memory import MemoryEngine
from dstk_storage.domain import layout
from dstk_storage.domain.errors import ReadOnly
from dstk_storage.domain.intake import Intake, has_data
from dstk_storage.domain.receipt import Receipt
from dstk_storage.domain.room import Room, explained, judge
from dstk_storage.domain.writes import Condition

RESERVE = 800
PUT, REMOVAL = layout.encode_record(b"v", 1, NOW, 0), layout.encode_removal(2, NOW, 0)
SWEPT = layout.encode_removal(3, NOW, NOW, index_only=True)
FULL = ReadOnly("full")


@pytest.mark.parametrize(
    ("free", "room"),
    [
        (800, Room.AMPLE),
        (799, Room.SCARCE),
        (500, Room.SCARCE),
        (499, Room.FULL),
        (200, Room.FULL),
        (199, Room.EXHAUSTED),
    ],
)
def test_a_disk_that_fills_up_takes_less_and_less(free: int, room: Room) -> None:
    assert judge(free, RESERVE, Room.AMPLE) is room


@given(st.integers(0, 2000), st.integers(0, 2000), st.sampled_from(Room))
def test_more_space_is_never_less_room_and_a_level_that_is_left_stays_left(free: int, more: int, before: Room) -> None:
    now = judge(free, RESERVE, before)
    assert judge(free + more, RESERVE, before) <= now
    assert judge(free, RESERVE, now) is now, "the same space again changes nothing"


@given(st.integers(0, 1 << 40), st.sampled_from(Room))
def test_without_a_reserve_nothing_is_refused_for_lack_of_room(free: int, before: Room) -> None:
    assert judge(free, 0, before) is Room.AMPLE


def test_the_refusal_says_what_is_left_what_is_kept_and_what_to_do() -> None:
    text = explained(Room.FULL, 100 << 20, 256 << 20)
    assert "100 MiB left" in text
    assert "256 MiB in reserve" in text
    assert "deletions and expiry are still taken" in text
    assert text.endswith("delete data, add a node, or enlarge the disk")
    assert "not even deletions" in explained(Room.EXHAUSTED, 5 << 20, 256 << 20)


@pytest.mark.parametrize(
    ("room", "data", "entries", "removals"),
    [
        (Room.AMPLE, False, False, False),
        (Room.SCARCE, True, False, False),
        (Room.FULL, True, True, False),
        (Room.EXHAUSTED, True, True, True),
    ],
)
def test_each_level_refuses_its_own(room: Room, data: bool, entries: bool, removals: bool) -> None:
    intake = Intake()
    intake.limit(room, FULL)
    assert (intake.data is FULL, intake.refusal([REMOVAL, PUT]) is FULL) == (data, entries)
    assert (intake.removals is FULL, intake.refusal([REMOVAL, SWEPT]) is FULL) == (removals, removals)


def test_a_failed_write_refuses_everything_until_it_has_recovered_and_then_the_room_counts_again() -> None:
    intake, failure = Intake(), ReadOnly("failed")
    intake.limit(Room.SCARCE, FULL)
    intake.fail(failure)
    assert intake.failure
    assert intake.data is intake.entries is intake.removals is failure
    intake.recovered()
    assert (intake.data, intake.entries, intake.removals) == (FULL, None, None)


def test_what_is_no_removal_is_data() -> None:
    assert has_data([PUT])
    assert has_data([REMOVAL, layout.encode_record(b"", 4, NOW, NOW)])
    assert not has_data([REMOVAL, SWEPT])


async def test_on_a_full_disk_everything_that_deletes_works_and_everything_that_adds_is_refused() -> None:
    async with running_store(MemoryEngine()) as store:
        writer = store.writer
        etags = [writer.put(key, b"v", 0, 0, 1000, 0, NOW, Receipt()) for key in (b"a", b"b", b"c")]
        await store.durable()
        store.committer.intake.limit(Room.FULL, FULL)
        for condition, etag in ((Condition.NONE, 0), (Condition.IF_ETAG, etags[0]), (Condition.IF_ABSENT, 0)):
            with pytest.raises(ReadOnly):
                writer.put(b"a", b"", condition, etag, 0, 0, NOW, Receipt())
        with pytest.raises(ReadOnly):
            writer.bulk_insert([b"d"], [b""], 0, 0, NOW, Receipt(), if_absent=True)
        writer.delete(b"a", Condition.NONE, 0, 0, NOW, Receipt())
        writer.delete(b"b", Condition.IF_ETAG, etags[1], 0, NOW, Receipt())
        writer.expire(b"c", NOW + 1000, NOW + 1000, Receipt())
        await store.durable()
        assert [store.get(key, 0, NOW) for key in (b"a", b"b", b"c")] == [None, None, None]
        store.committer.intake.limit(Room.EXHAUSTED, FULL)
        with pytest.raises(ReadOnly):
            writer.delete(b"c", Condition.NONE, 0, 0, NOW, Receipt())
