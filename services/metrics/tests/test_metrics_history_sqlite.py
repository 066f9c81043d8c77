"""The history's file through trouble: damage, newer formats, two services, limits, power cuts of the process."""

import logging
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dstk_metrics.adapters.history_sqlite import SqliteHistoryStore
from dstk_metrics.domain.figures import HISTORY, Figure
from dstk_metrics.domain.history.slots import Slot
from dstk_metrics.domain.history.tiers import MINUTE_MS, SlotKey
from dstk_metrics.ports import HistoryLost, HistoryRefused, HistoryUnavailable

LIMIT_BYTES = 64 << 20
NOW_MS = 1_800_000_000_000  # 2027-01-15 08:00:00 UTC
NAME = "history.sqlite"


def opened(directory: Path, limit_bytes: int = LIMIT_BYTES) -> SqliteHistoryStore:
    return SqliteHistoryStore(directory, limit_bytes, lambda: NOW_MS)


def minute_key(number: int) -> SlotKey:
    return SlotKey(number * MINUTE_MS, 0, number)


def wide_slot(seed: int = 1, ranges: int = 2000) -> Slot:
    rng = np.random.default_rng(seed)
    starts = [b"", *(b"%06d" % number for number in range(1, ranges))]
    return Slot(starts, rng.random((len(HISTORY), ranges)).astype(np.float32), np.full(ranges, MINUTE_MS, np.uint32))


def fill_file(directory: Path, slots: int = 20) -> None:
    with opened(directory) as store:
        for number in range(1, slots + 1):
            store.write({minute_key(number): wide_slot(number)}, [])


def sql(directory: Path, *statements: str) -> None:
    connection = sqlite3.connect(directory / NAME)
    with connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


def test_a_restart_goes_on_with_what_was_written(tmp_path: Path) -> None:
    fill_file(tmp_path)
    with opened(tmp_path) as store:
        assert len(store.stored()) == 20
        found = store.read([minute_key(7)])[minute_key(7)]
        np.testing.assert_array_equal(found.values, wide_slot(7).values)


def test_slots_with_the_same_ranges_store_them_once(tmp_path: Path) -> None:
    fill_file(tmp_path)
    connection = sqlite3.connect(tmp_path / NAME)
    assert connection.execute("SELECT count(*) FROM axes").fetchone() == (1,)
    connection.close()
    with opened(tmp_path) as store:
        store.write({minute_key(30): wide_slot(30, ranges=3)}, [minute_key(number) for number in range(1, 21)])
    connection = sqlite3.connect(tmp_path / NAME)
    assert connection.execute("SELECT count(*) FROM axes").fetchone() == (1,), "what no slot has remains"
    connection.close()


def not_a_database(path: Path) -> None:
    path.write_bytes(b"rubbish" * 5000)


def cut_off(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 3)


def of_another_program(path: Path) -> None:
    path.unlink()
    sql(path.parent, "CREATE TABLE somebody (elses INTEGER)")


def without_a_table(path: Path) -> None:
    sql(path.parent, "DROP TABLE axes")


@pytest.mark.parametrize("damage", [not_a_database, cut_off, of_another_program, without_a_table])
def test_a_damaged_file_is_moved_aside_with_its_time_and_said_so(
    damage: Callable[[Path], None], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fill_file(tmp_path)
    damage(tmp_path / NAME)
    content = (tmp_path / NAME).read_bytes()
    with opened(tmp_path) as store:
        with pytest.raises(HistoryLost):
            store.read([minute_key(number) for number in range(1, 21)])
        assert not store.stored()
        store.write({minute_key(1): wide_slot()}, [])
        assert store.stored() == [minute_key(1)]
    aside = tmp_path / f"{NAME}.damaged-20270115T080000Z"
    assert aside.read_bytes() == content
    (line,) = caplog.records
    assert line.levelno == logging.WARNING and line.__dict__["path"] == str(aside) and line.__dict__["error"]


def test_a_second_damaged_file_does_not_replace_the_first(tmp_path: Path) -> None:
    for _ in range(2):
        (tmp_path / NAME).write_bytes(b"rubbish" * 5000)
        with opened(tmp_path) as store, pytest.raises(HistoryLost):
            store.stored()
    assert len(list(tmp_path.glob("*.damaged-*"))) == 2


def test_the_newest_three_damaged_files_are_kept(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / NAME).write_bytes(b"rubbish %d" % number * 5000)
        with opened(tmp_path) as store, pytest.raises(HistoryLost):
            store.stored()
    kept = sorted(path.read_bytes()[:9] for path in tmp_path.glob("*.damaged-*"))
    assert kept == [b"rubbish 2", b"rubbish 3", b"rubbish 4"]


@pytest.mark.parametrize(
    "use",
    [
        lambda store: store.read_figure([minute_key(3)], Figure.WRITES),
        lambda store: store.write({minute_key(21): wide_slot(21)}, [minute_key(1)]),
    ],
)
def test_damage_that_shows_later_is_found_by_the_call_that_meets_it(
    use: Callable[[SqliteHistoryStore], object], tmp_path: Path
) -> None:
    fill_file(tmp_path)
    with opened(tmp_path) as store:
        assert len(store.stored()) == 20
        with (tmp_path / NAME).open("r+b") as file:
            file.seek(8192)
            file.write(os.urandom((tmp_path / NAME).stat().st_size - 8192))
        with pytest.raises(HistoryLost):
            use(store)
        assert not store.stored()


def test_a_slot_whose_bytes_are_damaged_is_dropped_and_the_others_stay(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fill_file(tmp_path, slots=3)
    sql(tmp_path, "UPDATE figures SET body = zeroblob(length(body)) WHERE id = 33")
    with opened(tmp_path) as store:
        assert set(store.read_figure([minute_key(1), minute_key(2), minute_key(3)], Figure.READS)) == {
            minute_key(1),
            minute_key(3),
        }
        assert set(store.stored()) == {minute_key(1), minute_key(3)}
    assert [line.levelno for line in caplog.records] == [logging.WARNING]


def test_a_newer_format_is_refused_and_not_touched(tmp_path: Path) -> None:
    fill_file(tmp_path)
    sql(tmp_path, "PRAGMA user_version = 2")
    content = (tmp_path / NAME).read_bytes()
    with (
        opened(tmp_path) as store,
        pytest.raises(HistoryRefused, match=r"format version 2; this program knows 1\. Run"),
    ):
        store.stored()
    assert (tmp_path / NAME).read_bytes() == content


def test_two_services_cannot_share_a_directory(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.write({minute_key(1): wide_slot()}, [])
        with pytest.raises(HistoryRefused, match="in use by another metrics service"), opened(tmp_path):
            pass
        assert store.stored() == [minute_key(1)]
    with opened(tmp_path) as store:
        assert store.stored() == [minute_key(1)]


def test_a_directory_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(HistoryRefused, match=r"cannot use data directory .* --data-dir"),
        opened(tmp_path / "file" / "dir"),
    ):
        pass


def test_a_read_only_directory_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    user = os.geteuid()
    try:
        if user == 0:  # root may write everywhere
            os.seteuid(65534)
        with pytest.raises(HistoryRefused, match="Permission denied"), opened(tmp_path):
            pass
    finally:
        os.seteuid(user)
        tmp_path.chmod(0o755)


def test_a_file_that_is_a_directory_is_no_damage(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()
    with opened(tmp_path) as store:
        with pytest.raises(HistoryUnavailable):
            store.stored()
        (tmp_path / NAME).rmdir()
        assert not store.stored()


def test_a_lower_limit_makes_the_file_smaller(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        for number in range(1, 150):
            store.write({minute_key(number): wide_slot(number, ranges=8000)}, [])
        assert store.size_bytes() > 30 << 20
    with opened(tmp_path, 16 << 20) as store:
        store.write({minute_key(200): wide_slot(200)}, [])
        assert store.size_bytes() <= 16 << 20
        kept = sorted(each.written for each in store.stored())
        assert kept[-1] == 200 and kept[:-1] == list(range(kept[0], 150)) and len(kept) > 30


WRITER = """
import sys
from pathlib import Path
import numpy as np
from dstk_metrics.adapters.history_sqlite import SqliteHistoryStore
from dstk_metrics.domain.figures import HISTORY
from dstk_metrics.domain.history.slots import Slot
from dstk_metrics.domain.history.tiers import SlotKey

with SqliteHistoryStore(Path(sys.argv[1]), 16 << 20, lambda: 0) as store:
    number = 1 + max((key.written for key in store.stored()), default=0)
    while True:
        values = np.random.default_rng(number).random((len(HISTORY), 4000)).astype(np.float32)
        slot = Slot([b"", *(b"%06d" % at for at in range(1, 4000))], values, np.full(4000, number, np.uint32))
        gone = [key for key in store.stored() if key.written == number - 3]
        store.write({SlotKey(number, 0, number): slot}, gone)
        print(number, flush=True)
        number += 1
"""


@pytest.mark.slow
def test_a_process_that_is_killed_at_any_instant_leaves_what_it_has_written(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    for _ in range(12):
        with subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            written = [int(process.stdout.readline()) for _ in range(int(rng.integers(1, 12)))]
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(float(rng.uniform(0, 0.03)))
            process.kill()
            written += [int(line) for line in process.stdout.read().split()]
        assert process.returncode == -signal.SIGKILL
        check(tmp_path, written[-1])


def check(directory: Path, last: int) -> None:
    """What was said to be written is there, whole; what was not said may be."""
    with opened(directory) as store:
        keys = sorted(store.stored())
        assert keys[-1].written in {last, last + 1}
        assert [each.written for each in keys] == list(range(max(1, keys[-1].written - 2), keys[-1].written + 1))
        found = store.read(keys)
        assert set(found) == set(keys)
        for each in keys:
            expected = np.random.default_rng(each.written).random((len(HISTORY), 4000)).astype(np.float32)
            np.testing.assert_array_equal(found[each].values, expected)
    connection = sqlite3.connect(directory / NAME)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()
