"""The thick client's routing table in this process: which partition a key belongs to, among 100,000."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from dstk.v1 import topology_pb2
from dstk_bench.systems.base import Place, System
from dstk_bench.workload import key
from dstk_client.topology import Topology

_PARTITIONS = 100_000
_LOOKUPS = 1000
_PREFIX = b"bench/p/"


@asynccontextmanager
async def start(_place: Place) -> AsyncIterator[tuple[System, ...]]:
    """Builds the table and yields the system `dstk-routing`."""
    topology = Topology()
    topology.apply(_topology())
    table = topology.table
    rng = random.Random(1)  # noqa: S311 - test data, no secrets
    keys = [key(_PREFIX, rng.randrange(_PARTITIONS)) + b"x" for _ in range(_LOOKUPS)]

    async def route() -> int:
        lookup = table.route
        for each in keys:
            lookup(each)
        return _LOOKUPS

    yield (System("dstk-routing", f"the client's table with {_PARTITIONS:,} partitions, in process", route=route),)


def _topology() -> topology_pb2.TopologyUpdate:
    bounds = [b"", *(key(_PREFIX, number) for number in range(1, _PARTITIONS)), b""]
    partitions = (
        topology_pb2.Partition(id=number + 1, start=bounds[number], end=bounds[number + 1], epoch=1, primary="node")
        for number in range(_PARTITIONS)
    )
    node = topology_pb2.Node(id="node", address="127.0.0.1:1")
    return topology_pb2.TopologyUpdate(revision=1, full=True, cluster="bench", partitions=partitions, nodes=[node])
