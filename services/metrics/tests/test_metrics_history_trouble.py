"""The history through trouble: a full disk, damaged files, damaged slots."""

import logging
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from kit.histories import NOON_MS, History

from dstk_metrics.adapters.history_memory import MemoryHistoryStore
from dstk_metrics.adapters.history_sqlite import SqliteHistoryStore
from dstk_metrics.application.recorder import MAX_WAITING
from dstk_metrics.domain.history.tiers import MINUTE_MS

NAN = float("nan")


def test_a_full_disk_is_said_once_and_minutes_wait_until_there_is_room(caplog: pytest.LogCaptureFixture) -> None:
    store = MemoryHistoryStore()
    history = History(store)
    history.add(1, 0, 0)
    store.is_full = True
    for minute in range(2, 8):
        history.add(minute, 0, 0)
    assert (history.counters.minutes_waiting, history.counters.write_failures) == (6, 6)
    assert [line.levelno for line in caplog.records] == [logging.WARNING]
    assert history.ask().values[0].tolist() == [1, 2, 3, 4, 5, 6, 7], "what waits is not shown"
    store.is_full = False
    history.add(8, 0, 0)
    assert (history.counters.minutes_waiting, history.counters.minutes_written) == (0, 8)
    assert history.ask().values[0].tolist() == list(range(1, 9))
    assert len(store.stored()) == 8


def test_a_disk_that_stays_full_costs_the_oldest_waiting_minutes_and_no_memory() -> None:
    store = MemoryHistoryStore()
    store.is_full = True
    history = History(store)
    for _ in range(MAX_WAITING + 5):
        history.add(1, 0, 0)
    assert (history.counters.minutes_waiting, history.counters.minutes_lost) == (MAX_WAITING, 5)
    store.is_full = False
    history.add(1, 0, 0)
    assert history.counters.minutes_lost == 5 and history.counters.minutes_written == MAX_WAITING + 1
    row = history.ask().values[0]
    assert np.isnan(row[:4]).all() and not np.isnan(row[4:]).any(), "the slot of minutes 4 and 5 knows one of them"


def test_a_minute_that_meets_a_damaged_file_is_written_to_the_new_one(tmp_path: Path) -> None:
    (tmp_path / "history.sqlite").write_bytes(b"rubbish" * 5000)
    with SqliteHistoryStore(tmp_path, 64 << 20, lambda: NOON_MS) as store:
        history = History(store)
        history.add(1, 2, 3)
        assert (history.counters.files_moved_aside, history.counters.minutes_written) == (1, 1)
        assert history.ask().values[:, 0].tolist() == [1, 2, 3]


def test_damage_that_a_question_finds_is_an_empty_answer_and_no_error(tmp_path: Path) -> None:
    with SqliteHistoryStore(tmp_path, 64 << 20, lambda: NOON_MS) as store:
        History(store).add(1, 2, 3)
    (tmp_path / "history.sqlite").write_bytes(b"rubbish" * 5000)
    with SqliteHistoryStore(tmp_path, 64 << 20, lambda: NOON_MS) as store:
        history = History(store)
        history.now_ms += MINUTE_MS
        assert np.isnan(history.ask().values).all()
        assert history.counters.files_moved_aside == 1


def test_a_slot_that_is_damaged_is_unknown_and_counted(tmp_path: Path) -> None:
    with SqliteHistoryStore(tmp_path, 64 << 20, lambda: NOON_MS) as store:
        history = History(store)
        for _ in range(3):
            history.add(1, 2, 3)
    connection = sqlite3.connect(tmp_path / "history.sqlite")
    with connection:
        connection.execute("UPDATE figures SET body = zeroblob(40) WHERE id = 33")
    connection.close()
    with SqliteHistoryStore(tmp_path, 64 << 20, lambda: NOON_MS) as store:
        reopened = History(store)
        reopened.now_ms = history.now_ms
        np.testing.assert_array_equal(reopened.ask().values[0], [1, NAN, 1])
        assert reopened.counters.slots_damaged == 1
