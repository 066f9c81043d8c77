"""The conformance suite of the engine port: LevelDB and its in-memory twin behave alike."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import combinations
from pathlib import Path
from random import Random

import pytest
from kit.engines import FAKES, KINDS

from dstk_storage.adapters.leveldb import LevelDBEngine, LevelDBOptions
from dstk_storage.adapters.memory import MemoryEngine
from dstk_storage.ports import Engine, EngineCorruption, EngineError

ENGINES = KINDS | FAKES


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """Engines of both kinds, and the kit's while nothing happens to them."""
    made = ENGINES[request.param](tmp_path)
    yield made
    made.close()


def opened(path: Path, options: LevelDBOptions | None = None) -> LevelDBEngine:
    """The engine that is there, or a new one."""
    if path.exists():
        return LevelDBEngine(path, options or LevelDBOptions())
    return LevelDBEngine.make(path, options or LevelDBOptions(), {})


def put_keys(engine: Engine, *keys: bytes) -> None:
    batch = engine.batch()
    for key in keys:
        batch.put(key, b"value of " + key)
    engine.write(batch)


def test_a_written_value_is_read_back_and_an_absent_one_is_none(engine: Engine) -> None:
    put_keys(engine, b"a")
    assert engine.get(b"a") == b"value of a"
    assert engine.get(b"b") is None


def test_a_batch_is_applied_in_its_order(engine: Engine) -> None:
    batch = engine.batch()
    batch.put(b"a", b"1")
    batch.delete(b"a")
    batch.put(b"b", b"1")
    batch.put(b"b", b"2")
    engine.write(batch)
    assert engine.get(b"a") is None
    assert engine.get(b"b") == b"2"


@pytest.mark.parametrize("reverse", [False, True])
def test_iteration_is_half_open_and_ordered(engine: Engine, reverse: bool) -> None:
    put_keys(engine, b"a", b"b", b"c", b"d")
    with engine.iterate(b"b", b"d", reverse=reverse) as pairs:
        keys = [key for key, _ in pairs]
    assert keys == ([b"c", b"b"] if reverse else [b"b", b"c"])


def test_an_iteration_sees_one_instant(engine: Engine) -> None:
    put_keys(engine, b"a", b"c")
    with engine.iterate(b"a", None) as pairs:
        assert next(pairs)[0] == b"a"
        put_keys(engine, b"b")
        assert [key for key, _ in pairs] == [b"c"]


def test_both_directions_show_the_same_whatever_the_bounds(engine: Engine) -> None:
    put_keys(engine, b"b", b"d", b"f")
    bounds = [bytes([byte]) for byte in b"abcdefg"]
    for start, stop in combinations(bounds, 2):
        with engine.iterate(start, stop) as forward, engine.iterate(start, stop, reverse=True) as backward:
            assert list(backward) == list(forward)[::-1], (start, stop)


def test_an_iteration_may_be_left_early(engine: Engine) -> None:
    put_keys(engine, b"a", b"b")
    with engine.iterate(b"a", None) as pairs:
        next(pairs)
    put_keys(engine, b"c")
    assert engine.get(b"c")


def test_reopening_keeps_what_was_written(engine: Engine) -> None:
    put_keys(engine, b"a")
    engine.reopen()
    assert engine.get(b"a") == b"value of a"
    put_keys(engine, b"b")
    assert engine.get(b"b")


@pytest.mark.parametrize("keep", [False, True])
def test_a_renewed_engine_holds_what_it_is_given_and_nothing_else(engine: Engine, keep: bool) -> None:
    put_keys(engine, b"a", b"b")
    engine.reset({b"b": b"new", b"c": b"new"}, keep=keep)
    with engine.iterate(b"", None) as pairs:
        assert list(pairs) == [(b"b", b"new"), (b"c", b"new")]
    put_keys(engine, b"d")
    engine.reopen()
    assert engine.get(b"d")


def test_leveldb_reports_a_closed_database_as_an_engine_error(tmp_path: Path) -> None:
    engine = opened(tmp_path / "leveldb")
    engine.close()
    with pytest.raises(EngineError):
        engine.get(b"a")
    with pytest.raises(EngineError), engine.iterate(b"a", None) as pairs:
        next(pairs)


def test_leveldb_approximates_the_size_of_what_is_in_its_tables(tmp_path: Path) -> None:
    options = LevelDBOptions(write_buffer=64 << 10)
    engine = opened(tmp_path / "leveldb", options)
    for number in range(40):
        batch = engine.batch()
        batch.put(b"%04d" % number, number.to_bytes(2, "big") * 8000)
        engine.write(batch)
    assert engine.approximate_size(b"0000", b"9999") > 0
    engine.close()


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """While it lasts, no file of this process can grow above so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_leveldb_takes_no_writes_behind_a_torn_one_until_it_is_reopened(tmp_path: Path) -> None:
    engine = opened(tmp_path / "leveldb")
    put_keys(engine, b"before")
    large = engine.batch()
    large.put(b"large", Random(1).randbytes(200_000))
    with files_up_to(50_000), pytest.raises(EngineError):
        engine.write(large)
    with pytest.raises(EngineError):
        put_keys(engine, b"between")
    engine.reopen()
    put_keys(engine, b"after")
    engine.reopen()
    assert not engine.corruption
    assert [engine.get(key) is not None for key in (b"before", b"large", b"between", b"after")] == [
        True,
        False,
        False,
        True,
    ]
    engine.close()


def overwrite(engine: Engine, keys: list[bytes], rng: Random) -> None:
    for key in keys:
        batch = engine.batch()
        batch.put(key, key + rng.randbytes(1000))
        engine.write(batch)


def test_leveldb_makes_no_good_blocks_of_bad_ones(tmp_path: Path) -> None:
    path, options, rng = tmp_path / "leveldb", LevelDBOptions(write_buffer=64 << 10), Random(1)
    keys = [b"%05d" % number for number in range(400)]
    engine = opened(path, options)
    overwrite(engine, rng.sample(keys, len(keys)), rng)
    engine.close()
    for table in path.glob("*.ldb"):
        with table.open("r+b") as file:
            file.seek(300)
            file.write(b"\xff" * 64)
    engine = opened(path, options)
    with pytest.raises(EngineCorruption):
        overwrite(engine, keys[1::2] * 20, rng)
    assert engine.corruption
    for key in keys[::2]:
        try:
            value = engine.get(key)
        except EngineCorruption:
            continue
        assert value is not None
        assert value.startswith(key)
        assert b"\xff" * 64 not in value
    engine.close()


@pytest.mark.parametrize(
    ("damage", "corrupt"), [("none", False), ("cut off", False), ("torn", True), ("damaged", True)]
)
def test_leveldb_opens_with_any_log_and_says_when_something_may_be_missing(
    tmp_path: Path, damage: str, corrupt: bool
) -> None:
    engine = opened(tmp_path / "leveldb")
    overwrite(engine, [b"%05d" % number for number in range(100)], Random(1))
    engine.close()
    (log,) = (tmp_path / "leveldb").glob("*.log")
    content = bytearray(log.read_bytes())
    if damage == "cut off":
        del content[-100:]
    if damage == "torn":
        content[-100:] = bytes(100)
    if damage == "damaged":
        content[50_000:50_100] = bytes(100)
    log.write_bytes(content)
    engine = opened(tmp_path / "leveldb")
    assert bool(engine.corruption) == corrupt
    put_keys(engine, b"after")
    engine.reopen()
    assert engine.get(b"after")
    assert bool(engine.corruption) == corrupt
    engine.close()


def test_the_twin_refuses_writes_after_a_failed_one_until_it_is_reopened() -> None:
    engine = MemoryEngine()
    engine.failing = True
    with pytest.raises(EngineError):
        put_keys(engine, b"a")
    engine.failing = False
    with pytest.raises(EngineError):
        put_keys(engine, b"a")
    engine.reopen()
    put_keys(engine, b"a")
    assert engine.get(b"a")


def test_a_snapshot_shows_what_was_there_when_it_was_taken(engine: Engine) -> None:
    put_keys(engine, b"a", b"b")
    with engine.snapshot() as snapshot:
        batch = engine.batch()
        batch.delete(b"a")
        batch.put(b"c", b"later")
        engine.write(batch)
        assert (snapshot.get(b"a"), snapshot.get(b"c")) == (b"value of a", None)
        with snapshot.iterate(b"a", b"z") as pairs:
            assert [key for key, _ in pairs] == [b"a", b"b"]
    assert engine.get(b"a") is None


def test_compaction_changes_nothing_that_is_read(engine: Engine) -> None:
    put_keys(engine, b"a", b"b", b"c")
    batch = engine.batch()
    batch.delete(b"b")
    engine.write(batch)
    engine.flush()
    engine.compact(b"a", b"c")
    assert [engine.get(key) is None for key in (b"a", b"b", b"c")] == [False, True, False]
    put_keys(engine, b"b")
    assert engine.get(b"b") == b"value of b"
