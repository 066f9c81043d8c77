"""The conformance suite of the engine port: LevelDB and its in-memory twin behave alike."""

from itertools import combinations
from pathlib import Path

import pytest

from dstk_storage.adapters.leveldb import LevelDBEngine, LevelDBOptions
from dstk_storage.adapters.memory import MemoryEngine
from dstk_storage.ports import Engine, EngineError


def put(engine: Engine, *keys: bytes) -> None:
    batch = engine.batch()
    for key in keys:
        batch.put(key, b"value of " + key)
    engine.write(batch)


def test_a_written_value_is_read_back_and_an_absent_one_is_none(engine: Engine) -> None:
    put(engine, b"a")
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
    put(engine, b"a", b"b", b"c", b"d")
    with engine.iterate(b"b", b"d", reverse=reverse) as pairs:
        keys = [key for key, _ in pairs]
    assert keys == ([b"c", b"b"] if reverse else [b"b", b"c"])


def test_an_iteration_sees_one_instant(engine: Engine) -> None:
    put(engine, b"a", b"c")
    with engine.iterate(b"a", None) as pairs:
        assert next(pairs)[0] == b"a"
        put(engine, b"b")
        assert [key for key, _ in pairs] == [b"c"]


def test_both_directions_show_the_same_whatever_the_bounds(engine: Engine) -> None:
    put(engine, b"b", b"d", b"f")
    bounds = [bytes([byte]) for byte in b"abcdefg"]
    for start, stop in combinations(bounds, 2):
        with engine.iterate(start, stop) as forward, engine.iterate(start, stop, reverse=True) as backward:
            assert list(backward) == list(forward)[::-1], (start, stop)


def test_an_iteration_may_be_left_early(engine: Engine) -> None:
    put(engine, b"a", b"b")
    with engine.iterate(b"a", None) as pairs:
        next(pairs)
    put(engine, b"c")
    assert engine.get(b"c")


def test_reopening_keeps_what_was_written(engine: Engine) -> None:
    put(engine, b"a")
    engine.reopen()
    assert engine.get(b"a") == b"value of a"
    put(engine, b"b")
    assert engine.get(b"b")


def test_leveldb_reports_a_closed_database_as_an_engine_error(tmp_path: Path) -> None:
    engine = LevelDBEngine(tmp_path, LevelDBOptions())
    engine.close()
    with pytest.raises(EngineError):
        engine.get(b"a")
    with pytest.raises(EngineError), engine.iterate(b"a", None) as pairs:
        next(pairs)


def test_leveldb_approximates_the_size_of_what_is_in_its_tables(tmp_path: Path) -> None:
    options = LevelDBOptions(write_buffer=64 << 10)
    engine = LevelDBEngine(tmp_path, options)
    for number in range(40):
        batch = engine.batch()
        batch.put(b"%04d" % number, number.to_bytes(2, "big") * 8000)
        engine.write(batch)
    assert engine.approximate_size(b"0000", b"9999") > 0
    engine.close()


def test_the_twin_refuses_writes_after_a_failed_one_until_it_is_reopened() -> None:
    engine = MemoryEngine()
    engine.failing = True
    with pytest.raises(EngineError):
        put(engine, b"a")
    engine.failing = False
    with pytest.raises(EngineError):
        put(engine, b"a")
    engine.reopen()
    put(engine, b"a")
    assert engine.get(b"a")
