"""An engine of either kind, and other nodes behind either transport."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from kit.peers import PATIENT, FakeNodes, fake_nodes

from dstk_storage.adapters.leveldb import LevelDBEngine, LevelDBOptions
from dstk_storage.adapters.memory import MemoryEngine
from dstk_storage.ports import Engine


@pytest.fixture(params=["memory", "leveldb"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    made = (
        MemoryEngine() if request.param == "memory" else LevelDBEngine.make(tmp_path / "leveldb", LevelDBOptions(), {})
    )
    yield made
    made.close()


@pytest.fixture(params=["memory", "simulated", "grpc"])
async def nodes(request: pytest.FixtureRequest) -> AsyncIterator[FakeNodes]:
    async with fake_nodes(request.param, PATIENT) as made:
        yield made
