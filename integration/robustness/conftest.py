"""One small cluster for each module that asks for it, and the command that talks to it."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from kit.command import Command
from kit.operators import Operator, operator_at
from kit.process_cluster import ProcessCluster, running

from dstk_client import Client, connect


@pytest.fixture(scope="module")
def small_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessCluster]:
    """A node with two partitions, and a router."""
    made = ProcessCluster(
        tmp_path_factory.mktemp("small"),
        nodes=1,
        splits=["m"],
        router=True,
        storage_options=["--bootstrap-replicas", "1"],
    )
    with running(made):
        yield made


@pytest.fixture
def dstk(small_cluster: ProcessCluster, tmp_path: Path) -> Command:
    """The command line."""
    return Command(small_cluster.address("router"), tmp_path)


@pytest.fixture
async def operator(cluster: ProcessCluster) -> AsyncIterator[Operator]:
    """Of the module's own cluster, once all replicas are in sync."""
    async with operator_at(cluster.address("router")) as made:
        await made.healed()
        yield made


@pytest.fixture
async def client(cluster: ProcessCluster) -> AsyncIterator[Client]:
    """Of the module's own cluster, through its router."""
    async with connect(cluster.address("router"), mode="gateway", timeout=60) as made:
        yield made
