"""The coordinator's two adapters, and a cluster name of its own for each test."""

import uuid
from collections.abc import AsyncIterator, Iterator

import pytest
from kit.coordinators import LossyCoordinator
from kit.etcd import running_etcd

from dstk_cluster.etcd import EtcdCoordinator
from dstk_cluster.memory import MemoryCoordinator
from dstk_cluster.port import Coordinator


@pytest.fixture(scope="session")
def etcd_address() -> Iterator[str]:
    """One etcd for the session."""
    with running_etcd() as address:
        yield address


@pytest.fixture(params=["memory", "lossy", "etcd"])
async def coordinator(request: pytest.FixtureRequest) -> AsyncIterator[Coordinator]:
    """Every adapter in turn, and the fake that may lose answers while it loses none."""
    made: Coordinator
    match request.param:
        case "memory":
            made = MemoryCoordinator()
        case "lossy":
            made = LossyCoordinator()
        case _:
            made = EtcdCoordinator([request.getfixturevalue("etcd_address")], timeout=60)
    yield made
    await made.close()


@pytest.fixture
def cluster() -> str:
    """A cluster name that no other test uses."""
    return f"t{uuid.uuid4().hex}"
