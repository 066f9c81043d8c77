"""What LevelDB says of itself, as figures."""

import os
from pathlib import Path

import pytest

from dstk_service.testing import eventually
from dstk_storage.adapters.leveldb import LevelDBEngine, LevelDBOptions
from dstk_storage.adapters.leveldb_figures import LevelDBFigures, parse
from dstk_storage.ports import EngineError

STATS = """                               Compactions
Level  Files Size(MB) Time(sec) Read(MB) Write(MB)
--------------------------------------------------
  0        6        0         1        0         3
  1       11       23         2        9         9
"""
SSTABLES = """--- level 0 ---
 228:8659['\\x00\\x0a 12:34[' @ 42032 : 1 .. 'z' @ 42109 : 1]
 230:8689['a' @ 42187 : 1 .. '--- level 6 ---' @ 42195 : 1]
--- level 1 ---
 222:881198['a' @ 1 : 1 .. 'b' @ 2 : 1]
--- level 2 ---
"""


def test_levels_and_compactions_are_read() -> None:
    assert parse(STATS, SSTABLES) == LevelDBFigures(
        (2, 1, 0, 0, 0, 0, 0), (8659 + 8689, 881198, 0, 0, 0, 0, 0), 3, 12 << 20
    )


async def test_an_engine_tells_of_its_tables(tmp_path: Path) -> None:
    engine = LevelDBEngine.make(tmp_path / "engine", LevelDBOptions(write_buffer=64 << 10), {b"k": b"v"})
    keys = [os.urandom(8) + b"\n 12:34[" for _ in range(2000)]
    for at in range(0, len(keys), 100):
        batch = engine.batch()
        for key in keys[at : at + 100]:
            batch.put(key, os.urandom(100))
        engine.write(batch)
    engine.flush()

    def are_those_of_the_files() -> bool:  # LevelDB may compact between the two looks
        figures = engine.figures()
        assert sum(figures.tables) > 0
        on_disk = sum(path.stat().st_size for path in tmp_path.rglob("*.ldb") if path.exists())
        return sum(figures.bytes) == pytest.approx(on_disk, rel=0.5)

    await eventually(are_those_of_the_files)
    engine.close()
    with pytest.raises(EngineError):
        engine.figures()
