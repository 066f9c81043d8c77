"""Every store of the history keeps what it is given, all or nothing, within its bytes."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from dstk_metrics.adapters.history_memory import MemoryHistoryStore
from dstk_metrics.adapters.history_sqlite import SqliteHistoryStore
from dstk_metrics.domain.figures import HISTORY, Figure
from dstk_metrics.domain.history.slots import Slot
from dstk_metrics.domain.history.tiers import MINUTE_MS, SlotKey
from dstk_metrics.ports import HistoryStore

LIMIT_BYTES = 16 << 20


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[HistoryStore]:
    if request.param == "memory":
        yield MemoryHistoryStore(LIMIT_BYTES)
        return
    with SqliteHistoryStore(tmp_path, LIMIT_BYTES, lambda: 0) as store:
        yield store


def numbered_key(number: int, tier: int = 0) -> SlotKey:
    return SlotKey(number * MINUTE_MS, tier, number)


def seeded_slot(seed: int, ranges: int = 5) -> Slot:
    rng = np.random.default_rng(seed)
    starts = [b"", *(b"\x00\xff%06d" % number for number in range(1, ranges))]
    values = rng.random((len(HISTORY), ranges)).astype(np.float32)
    values[0, 0] = np.nan
    return Slot(starts, values, rng.integers(0, MINUTE_MS, ranges).astype(np.uint32))


def same(found: Slot, expected: Slot) -> bool:
    return (
        list(found.starts) == list(expected.starts)
        and np.array_equal(found.values, expected.values, equal_nan=True)
        and np.array_equal(found.known_ms, expected.known_ms)
        and found.values.dtype == np.float32
        and found.known_ms.dtype == np.uint32
    )


def test_a_new_store_is_empty(store: HistoryStore) -> None:
    assert not store.stored()
    assert not store.read([numbered_key(1)])


def test_slots_come_back_as_they_were_written(store: HistoryStore) -> None:
    store.write({numbered_key(1): seeded_slot(1), numbered_key(2): seeded_slot(2, ranges=1)}, [])
    store.write({numbered_key(3): seeded_slot(3, ranges=3000)}, [])
    assert set(store.stored()) == {numbered_key(1), numbered_key(2), numbered_key(3)}
    found = store.read([numbered_key(3), numbered_key(1), numbered_key(2), numbered_key(9)])
    assert set(found) == {numbered_key(1), numbered_key(2), numbered_key(3)}
    assert (
        same(found[numbered_key(1)], seeded_slot(1))
        and same(found[numbered_key(2)], seeded_slot(2, 1))
        and same(found[numbered_key(3)], seeded_slot(3, 3000))
    )


def test_one_figure_comes_back_alone_and_equal_ranges_are_one_object(store: HistoryStore) -> None:
    written = seeded_slot(1)
    store.write({numbered_key(1): written}, [])
    store.write({numbered_key(2): Slot(written.starts, seeded_slot(2).values, written.known_ms)}, [])
    found = store.read_figure([numbered_key(1), numbered_key(2)], Figure.RECORDS)
    row = HISTORY.index(Figure.RECORDS)
    np.testing.assert_array_equal(found[numbered_key(1)].values, seeded_slot(1).values[row : row + 1])
    np.testing.assert_array_equal(found[numbered_key(2)].values, seeded_slot(2).values[row : row + 1])
    assert found[numbered_key(1)].starts is found[numbered_key(2)].starts


def test_figures_of_which_nothing_is_known_come_back_unknown(store: HistoryStore) -> None:
    written = seeded_slot(1)
    written.values[[0, 4]] = np.nan
    store.write({numbered_key(1): written}, [])
    assert same(store.read([numbered_key(1)])[numbered_key(1)], written)


def test_slots_are_removed_and_replaced_in_one_step(store: HistoryStore) -> None:
    store.write({numbered_key(number): seeded_slot(number) for number in (1, 2, 3)}, [])
    merged = SlotKey(2 * MINUTE_MS, 1, 3)
    store.write({merged: seeded_slot(7)}, [numbered_key(2), numbered_key(3)])
    assert set(store.stored()) == {numbered_key(1), merged}
    store.write({merged: seeded_slot(8)}, [])
    assert same(store.read([merged])[merged], seeded_slot(8))
    assert not store.read([numbered_key(3)])


def test_the_store_stays_within_its_bytes_and_drops_the_oldest_of_the_coarsest_tier(store: HistoryStore) -> None:
    coarse = SlotKey(0, 4, 1000)
    store.write({coarse: seeded_slot(0, 8000), numbered_key(1): seeded_slot(1, 8000)}, [])
    for number in range(2, 90):
        store.write({numbered_key(number): seeded_slot(number, 8000)}, [])
        assert store.size_bytes() <= LIMIT_BYTES
    kept = sorted(each.written for each in store.stored())
    assert kept[-1] == 89 and kept == list(range(kept[0], 90)), "not the oldest was dropped"
    assert 20 < len(kept) < 80
    assert same(store.read([numbered_key(89)])[numbered_key(89)], seeded_slot(89, 8000))


def test_what_one_key_is_written_with_is_not_changed_by_reading_another(store: HistoryStore) -> None:
    store.write({numbered_key(1): seeded_slot(1), numbered_key(2): seeded_slot(2)}, [])
    store.read_figure([numbered_key(1)], Figure.READS)
    store.write({}, [numbered_key(1)])
    assert same(store.read([numbered_key(2)])[numbered_key(2)], seeded_slot(2))
