"""A cluster of processes for the tests of the contract, one for each module of them."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc
import pytest
from kit.process_cluster import ProcessCluster, running

from dstk.v1 import kv_pb2_grpc
from dstk_service.transport.grpc_connector import GRPC


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessCluster]:
    """Two nodes, of which the second owns what lies from "m" on, and a router of two processes."""
    made = ProcessCluster(
        tmp_path_factory.mktemp("api"),
        nodes=2,
        splits=["m"],
        router=True,
        router_options=["--workers", "2"],
        storage_options=["--bootstrap-replicas", "1"],
    )
    with running(made):
        yield made


@pytest.fixture(params=["storage-1", "router"])
async def channel(request: pytest.FixtureRequest, cluster: ProcessCluster) -> AsyncIterator[grpc.aio.Channel]:
    """To the owner of everything below "m", and to the router, which serve alike."""
    async with GRPC.connect(cluster.address(request.param)) as made:
        yield made


@pytest.fixture
def stub(channel: grpc.aio.Channel) -> Any:
    return kv_pb2_grpc.KeyValueStub(channel)
