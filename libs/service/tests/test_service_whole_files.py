"""Files that appear whole, or not at all, whatever becomes of those who write them."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from dstk_service import whole_files
from dstk_service.whole_files import create, replacing, write_atomic

KILLED = """
import os, sys
from pathlib import Path
from dstk_service.whole_files import replacing
with replacing(Path(sys.argv[1]), durable=True) as file:
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize("durable", [False, True])
def test_a_file_is_replaced_whole_and_nothing_else_is_left(tmp_path: Path, durable: bool) -> None:
    write_atomic(tmp_path / "a", b"one", durable=durable)
    write_atomic(tmp_path / "a", b"two", durable=durable)
    assert (tmp_path / "a").read_bytes() == b"two"
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


def test_a_durable_write_syncs_the_file_before_its_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[bool] = []
    monkeypatch.setattr(
        whole_files.os, "fsync", lambda descriptor: synced.append(stat.S_ISDIR(os.fstat(descriptor).st_mode))
    )
    write_atomic(tmp_path / "a", b"one", durable=False)
    assert synced == []
    write_atomic(tmp_path / "a", b"two", durable=True)
    assert synced == [False, True]


def test_what_a_killed_writer_has_left_is_deleted_by_the_next_one(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "a")], check=False)
    (orphan,) = tmp_path.iterdir()
    assert orphan.name.startswith(".a.")
    write_atomic(tmp_path / "b", b"another file", durable=False)
    assert orphan.exists()
    write_atomic(tmp_path / "a", b"one", durable=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_a_writer_leaves_alone_what_another_one_is_writing(tmp_path: Path) -> None:
    with replacing(tmp_path / "a", durable=False) as file:
        write_atomic(tmp_path / "a", b"in between", durable=False)
        file.write(b"the last one")
    assert (tmp_path / "a").read_bytes() == b"the last one"
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


def test_a_block_that_raises_leaves_the_old_content(tmp_path: Path) -> None:
    write_atomic(tmp_path / "a", b"old", durable=False)
    with pytest.raises(ZeroDivisionError), replacing(tmp_path / "a", durable=False):
        raise ZeroDivisionError
    assert (tmp_path / "a").read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


def test_of_several_that_make_a_file_the_first_wins(tmp_path: Path) -> None:
    create(tmp_path / "a", b"one")
    create(tmp_path / "a", b"two")
    assert (tmp_path / "a").read_bytes() == b"one"
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


def test_a_long_name_has_a_temporary_one_that_fits(tmp_path: Path) -> None:
    write_atomic(tmp_path / ("n" * 255), b"one", durable=False)
    assert len(list(tmp_path.iterdir())) == 1
