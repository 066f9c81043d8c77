"""LevelDB's files: damage is seen before LevelDB opens them, and nothing is deleted that somebody may need."""

import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import plyvel
import pytest

from dstk_storage.adapters import leveldb, manifest
from dstk_storage.adapters.engine_files import KEPT, EngineFiles
from dstk_storage.adapters.leveldb import EngineDamaged, LevelDBEngine, LevelDBOptions
from dstk_storage.ports import EngineCorruption, EngineError

OPTIONS = LevelDBOptions(write_buffer=64 << 10)


def filled(path: Path, rounds: int = 3) -> Path:
    """An engine that was filled and opened again some times, so that it has tables, and a MANIFEST of several entries."""
    engine = LevelDBEngine.make(path, OPTIONS, {b"first": b"1"})
    rng = Random(1)
    for number in range(rounds):
        for key in range(300):
            batch = engine.batch()
            batch.put(b"%d/%d" % (number, key), rng.randbytes(1000))
            engine.write(batch)
        engine.close()
        engine = LevelDBEngine(path, OPTIONS)
    engine.close()
    return path


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return filled(tmp_path_factory.mktemp("engine") / "leveldb")


@pytest.fixture
def path(healthy: Path, tmp_path: Path) -> Path:
    shutil.copytree(healthy, tmp_path / "leveldb")
    return tmp_path / "leveldb"


def test_files_as_leveldb_leaves_them_are_not_damaged(path: Path) -> None:
    assert EngineFiles(path).damage() == ""
    found = manifest.read(max(path.glob("MANIFEST-*")).read_bytes())
    assert (path / f"{found.log:06d}.log").exists()
    assert {number for _, number in found.tables} == {int(table.stem) for table in path.glob("*.ldb")}


def test_every_beginning_of_a_manifest_is_refused_or_misses_nothing(path: Path) -> None:
    """LevelDB opens with any of them that ends behind an entry, and deletes what the rest was about."""
    (target,) = path.glob("MANIFEST-*")
    whole = target.read_bytes()
    now = manifest.read(whole)
    for length in range(len(whole)):
        target.write_bytes(whole[:length])
        try:
            known = manifest.read(whole[:length])
        except manifest.ManifestDamaged:
            continue
        if (known.log, known.tables) != (now.log, now.tables) and known.log:
            assert EngineFiles(path).damage(), length


def test_a_manifest_of_any_bytes_is_read_or_refused() -> None:
    rng = Random(2)
    for _ in range(2000):
        try:
            manifest.read(rng.randbytes(rng.randrange(200)))
        except manifest.ManifestDamaged:
            continue


DAMAGES: dict[str, Callable[[Path], Any]] = {
    "is missing": shutil.rmtree,
    "CURRENT is missing": lambda path: (path / "CURRENT").unlink(),
    "CURRENT names no file": lambda path: (path / "CURRENT").write_bytes(b"\xff"),
    "log is missing": lambda path: max(path.glob("*.log")).unlink(),
    "ldb is missing": lambda path: max(path.glob("*.ldb")).unlink(),
    "bytes rather than": lambda path: max(path.glob("*.ldb")).write_bytes(b"short"),
    "no meta-nextfile": lambda path: max(path.glob("MANIFEST-*")).write_bytes(b""),
    "checksum mismatch": lambda path: max(path.glob("MANIFEST-*")).write_bytes(b"\x01" * 400),
}


@pytest.mark.parametrize("why", DAMAGES)
def test_what_is_damaged_does_not_open_and_is_left_as_it_is(path: Path, why: str) -> None:
    DAMAGES[why](path)
    tables = list(path.glob("*.ldb"))
    with pytest.raises(EngineDamaged, match=why) as caught:
        LevelDBEngine(path, OPTIONS)
    assert "b'" not in str(caught.value)
    assert all(table.exists() for table in tables)


@pytest.mark.parametrize("why", ["Permission denied", "No space left on device", "Too many open files"])
def test_what_the_system_refuses_is_no_damage(path: Path, monkeypatch: pytest.MonkeyPatch, why: str) -> None:
    def refuses(*_: Any, **__: Any) -> None:
        raise plyvel.IOError(f"IO error: {path}/LOCK: {why}".encode())

    monkeypatch.setattr(leveldb.plyvel, "DB", refuses)
    with pytest.raises(EngineError, match=why) as caught:
        LevelDBEngine(path, OPTIONS)
    assert not isinstance(caught.value, EngineDamaged)
    assert not EngineFiles(path).kept()


def _read_what_is_gone(engine: LevelDBEngine, path: Path) -> None:
    """LevelDB compacts what it has just opened, and may make new tables while these are deleted: those go next."""
    while tables := list(path.glob("*.ldb")):
        for table in tables:
            table.unlink(missing_ok=True)
        with engine.iterate(b"", None) as pairs:
            list(pairs)


def test_a_table_that_goes_while_the_engine_runs_is_corruption(path: Path) -> None:
    engine = LevelDBEngine(path, LevelDBOptions(write_buffer=64 << 10, max_open_files=74))
    with pytest.raises(EngineCorruption):
        _read_what_is_gone(engine, path)
    assert engine.corruption
    engine.close()


def test_a_renewal_keeps_the_old_files_or_deletes_them(path: Path) -> None:
    engine = LevelDBEngine(path, OPTIONS)
    kept = engine.reset({b"a": b"1"}, keep=True)
    assert (engine.get(b"a"), engine.get(b"first")) == (b"1", None)
    assert LevelDBEngine(Path(kept), OPTIONS).get(b"first") == b"1"
    assert engine.reset({b"b": b"2"}, keep=False) == ""
    assert (engine.get(b"a"), engine.get(b"b")) == (None, b"2")
    assert [str(each) for each in EngineFiles(path).kept()] == [kept]
    engine.close()


def test_of_many_that_were_moved_aside_the_first_and_the_newest_are_kept(path: Path) -> None:
    files = EngineFiles(path)
    for number in range(6):
        files.put_aside()
        path.mkdir()
        (path / str(number)).touch()
    assert [each.name for each in files.kept()] == [f"leveldb.damaged-{number}" for number in (1, 5, 6)]
    assert len(files.kept()) == KEPT
    assert (files.kept()[0] / "CURRENT").exists()


def test_an_engine_is_made_whole_or_not_at_all(tmp_path: Path) -> None:
    path, files = tmp_path / "leveldb", EngineFiles(tmp_path / "leveldb")

    def crashes(beside: Path) -> None:
        beside.mkdir()
        (beside / "half").touch()
        raise OSError("the power fails")

    with pytest.raises(EngineError):
        files.make(crashes)
    assert not path.exists()
    engine = LevelDBEngine.make(path, OPTIONS, {b"a": b"1"})
    assert engine.get(b"a") == b"1"
    assert not list(path.glob("half"))
    engine.close()


def test_nothing_there_is_not_moved_aside(tmp_path: Path) -> None:
    assert EngineFiles(tmp_path / "leveldb").put_aside() == ""
    assert EngineFiles(tmp_path / "leveldb").kept() == []
