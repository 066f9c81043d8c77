"""etcd gone: at the start, and later."""

import asyncio
from pathlib import Path

import pytest
from kit.process_cluster import ProcessCluster

from dstk_client import connect
from dstk_keytypes import Key
from dstk_service.testing import eventually

pytestmark = [pytest.mark.slow]


async def test_without_etcd_reads_and_writes_go_on_and_map_changes_wait(tmp_path: Path) -> None:
    async with (
        ProcessCluster(tmp_path, nodes=2, splits=["m"], router=True) as cluster,
        connect(cluster.address("router"), timeout=60) as thick,
        connect(cluster.address("router"), mode="gateway", timeout=60) as gateway,
    ):
        cluster.kill("etcd")
        await eventually(lambda: "waiting for etcd to register" in cluster.log("storage-1"))
        for number in range(200):
            key = Key.of(number)
            await thick.put(key, b"v")
            assert await gateway.get(key)
        await cluster.start("etcd")
        await eventually(lambda: "registered with etcd again" in cluster.log("storage-1"))
        await thick.put(Key.text("z"), b"v")


async def test_a_node_that_starts_without_etcd_says_that_it_waits_and_then_serves(tmp_path: Path) -> None:
    async with ProcessCluster(tmp_path) as cluster:
        async with connect(cluster.address("storage-1"), timeout=60) as client:
            await client.put(Key.text("k"), b"v")
        cluster.kill("storage-1")
        cluster.kill("etcd")
        cluster.launch("storage-1")
        await eventually(lambda: "waiting for etcd to start" in cluster.log("storage-1"))
        await cluster.start("etcd")
        await cluster.serving("storage-1")
        async with connect(cluster.address("storage-1"), timeout=60) as client:
            assert await client.get(Key.text("k"))


async def test_a_cluster_whose_processes_all_die_at_once_comes_back(tmp_path: Path) -> None:
    async with ProcessCluster(tmp_path, nodes=2, splits=["m"], router=True) as cluster:
        async with connect(cluster.address("router"), timeout=60) as client:
            await asyncio.gather(*(client.put(Key.text(name), b"v") for name in ("a", "z")))
        everything = ["router", "storage-1", "storage-2", "etcd"]
        for name in everything:
            cluster.kill(name)
        for name in reversed(everything):
            cluster.launch(name)
        await asyncio.gather(*(cluster.serving(name) for name in everything[:3]))
        async with connect(cluster.address("router"), timeout=60) as client:
            assert await client.get(Key.text("a"))
            assert await client.get(Key.text("z"))
