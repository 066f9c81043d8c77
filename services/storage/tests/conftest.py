"""An engine of either kind."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dstk_storage.adapters.leveldb import LevelDBEngine, LevelDBOptions
from dstk_storage.adapters.memory import MemoryEngine
from dstk_storage.ports import Engine


@pytest.fixture(params=["memory", "leveldb"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    made = MemoryEngine() if request.param == "memory" else LevelDBEngine(tmp_path / "leveldb", LevelDBOptions())
    yield made
    made.close()
