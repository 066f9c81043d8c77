"""An engine of either kind, and other nodes behind either transport."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from kit.engines import KINDS
from kit.peers import PATIENT, FakeNodes, fake_nodes

from dstk_storage.ports import Engine


@pytest.fixture(params=KINDS)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    made = KINDS[request.param](tmp_path)
    yield made
    made.close()


@pytest.fixture(params=["memory", "simulated", "grpc"])
async def nodes(request: pytest.FixtureRequest) -> AsyncIterator[FakeNodes]:
    async with fake_nodes(request.param, PATIENT) as made:
        yield made
