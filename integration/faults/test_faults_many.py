"""Hundreds of partitions on three nodes: a node that restarts changes the map for each of them."""

import asyncio
from pathlib import Path

import pytest
from kit.operators import operator_at
from kit.process_cluster import ProcessCluster

from dstk_client import connect
from dstk_keytypes import Key
from dstk_service.errors import WriteAmbiguous

pytestmark = pytest.mark.slow

PARTITIONS = 200
SPLITS = [f"{number:04}" for number in range(1, PARTITIONS)]
CALL_SECONDS = 60.0
CALM_SECONDS = 120.0
"""The time until all replicas are in sync on a slow machine. A cluster that never settles takes longer."""


async def test_a_cluster_of_many_partitions_serves_and_becomes_whole_when_a_node_comes_and_goes(tmp_path: Path) -> None:
    keys = [Key.text(f"{number:04}") for number in range(PARTITIONS)]
    async with (
        ProcessCluster(tmp_path, nodes=3, splits=SPLITS, router=True) as cluster,
        operator_at(cluster.address("router")) as operator,
        connect(*map(cluster.address, cluster.names), timeout=CALL_SECONDS) as client,
    ):
        await operator.healed(within=CALM_SECONDS)
        await asyncio.gather(*(client.put(key, b"before") for key in keys))
        cluster.kill("storage-1")
        outcomes = await asyncio.gather(*(client.put(key, b"after") for key in keys), return_exceptions=True)
        assert all(not isinstance(each, BaseException) or isinstance(each, WriteAmbiguous) for each in outcomes)
        await cluster.start("storage-1")
        found = await asyncio.gather(*(client.get(key) for key in keys))
        for record, outcome in zip(found, outcomes, strict=True):
            assert record is not None
            assert record.value == b"after" or isinstance(outcome, WriteAmbiguous)
        await operator.healed(within=CALM_SECONDS)
        await operator.replicas_agree()
