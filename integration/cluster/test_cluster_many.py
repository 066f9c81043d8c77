"""A thousand partitions on a node: what each change of the map costs must not grow with their number squared."""

import asyncio
from pathlib import Path

import pytest
from kit.process_cluster import ProcessCluster
from kit.spoiled import holds_once

from dstk_client import connect
from dstk_keytypes import Key

pytestmark = pytest.mark.slow

PARTITIONS = 1000
SPLITS = [f"{number:04}" for number in range(1, PARTITIONS)]


async def test_a_node_with_a_thousand_partitions_starts_serves_and_keeps_its_place(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Each partition is a change of the map when its primary starts. Were they slow, the node's leases would run out, as they
    also do in a pause of six seconds.
    """
    await holds_once(starts_serves_and_keeps_its_place, [tmp_path_factory.mktemp("many") for _ in range(3)])


async def starts_serves_and_keeps_its_place(path: Path) -> None:
    async with ProcessCluster(path, splits=SPLITS) as cluster:
        async with connect(cluster.address("storage-1"), timeout=60) as client:
            keys = [Key.text(split) for split in SPLITS]
            await asyncio.gather(*(client.put(key, b"value") for key in keys))
            found = await asyncio.gather(*(client.get(key) for key in keys))
            assert all(record is not None for record in found)
        log = cluster.log("storage-1")
        assert log.count("serving as primary") == PARTITIONS
        assert "no longer primary" not in log
        assert "waiting for etcd to register" not in log
