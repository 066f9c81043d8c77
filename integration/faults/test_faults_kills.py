"""kill -9 of a storage node in the middle of writes, again and again."""

import asyncio
import random
import time
from functools import partial
from pathlib import Path

import pytest
from kit.operators import operator_at
from kit.process_cluster import ProcessCluster
from kit.spoiled import holds_once, sees

from dstk_client import Client, connect
from dstk_keytypes import Key, KeyRange
from dstk_service.errors import DeadlineExceeded, DstkError, NotServing, WriteAmbiguous
from dstk_service.testing import eventually

pytestmark = pytest.mark.slow

ALONE = ("--bootstrap-replicas", "1")
"""There is no failover here, so every write that a node has acknowledged must be on its own disk."""

KILLS = 50
"""Half of them of one node, half of another, side by side."""

BATCH = 20

WRITERS = 8
SPLITS = ["(4,)", "(8,)"]
"""Writers 0..3 write to the first node, 4..7 to the second; the third one lives, and tells the client where they are."""


class Writer:
    """Writes numbered values under its own keys and remembers what was acknowledged."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.writes = 0
        """How many were acknowledged."""
        self.acknowledged: dict[int, int] = {}
        self.attempted: dict[int, int] = {}
        self.batches: set[int] = set()

    async def run(self, client: Client, stop: asyncio.Event) -> None:
        version = 0
        while not stop.is_set():
            version += 1
            try:
                await self._write(client, version)
            except (DeadlineExceeded, NotServing, WriteAmbiguous):
                await asyncio.sleep(0.01)

    async def _write(self, client: Client, version: int) -> None:
        slot = version % 50
        self.attempted[slot] = version
        await client.put(Key.of(self.number, "single", slot), str(version).encode())
        self.acknowledged[slot] = version
        self.writes += 1
        if version % 10 == 0:
            value = str(version).encode()
            await client.bulk_insert([(Key.of(self.number, "batch", version, at), value) for at in range(BATCH)])
            self.batches.add(version)

    async def check(self, client: Client) -> None:
        """Nothing acknowledged is lost, and no batch is torn."""
        for slot, version in self.acknowledged.items():
            record = await client.get(Key.of(self.number, "single", slot))
            assert record is not None, f"write {version} of slot {slot} is lost"
            assert version <= int(record.value) <= self.attempted[slot]
        found: dict[int, int] = {}
        async for record in client.scan(KeyRange.tuple_prefix(self.number, "batch")):
            version = int(record.value)
            found[version] = found.get(version, 0) + 1
        assert set(found.values()) <= {BATCH}, "a batch was applied in part"
        assert self.batches <= set(found), "an acknowledged batch is lost"


async def test_a_node_that_is_killed_at_random_instants_loses_nothing_and_tears_nothing(tmp_path: Path) -> None:
    writers = [Writer(number) for number in range(WRITERS)]
    half = WRITERS // 2
    async with (
        ProcessCluster(tmp_path, nodes=3, splits=SPLITS, router=True, storage_options=ALONE) as cluster,
        operator_at(cluster.address("router")) as operator,
        connect(cluster.address("storage-3"), timeout=60) as client,
    ):
        led = [(await operator.partition_of(Key.of(writer.number))).primary for writer in writers]
        assert led == ["storage-1"] * half + ["storage-2"] * half
        stop = asyncio.Event()
        writing = [asyncio.create_task(writer.run(client, stop)) for writer in writers]
        await asyncio.gather(
            _kill_again_and_again(cluster, "storage-1", writers[:half], random.Random(20)),
            _kill_again_and_again(cluster, "storage-2", writers[half:], random.Random(21)),
        )
        stop.set()
        await asyncio.gather(*writing)
        for writer in writers:
            await writer.check(client)
    for of_one_node in (writers[:half], writers[half:]):
        written = sum(max(writer.acknowledged.values()) for writer in of_one_node)
        assert written > KILLS // 2 * 10, f"only {written} writes: the test has shown too little"


async def _kill_again_and_again(cluster: ProcessCluster, node: str, writers: list[Writer], rng: random.Random) -> None:
    """Kills in the middle of writes, at a random instant after one of these writers has succeeded again."""
    for _ in range(KILLS // 2):
        before = sum(writer.writes for writer in writers)
        await eventually(lambda before=before: sum(writer.writes for writer in writers) > before)
        await asyncio.sleep(rng.uniform(0.02, 0.3))
        cluster.kill(node)
        await cluster.start(node)


async def fails_in_time(client: Client, key: Key, seconds: float) -> None:
    begun = time.monotonic()
    await sees(NotServing, client.get(key, timeout=seconds))
    with pytest.raises((NotServing, WriteAmbiguous)):
        await client.put(key, b"2", timeout=seconds)
    assert time.monotonic() - begun < 4 * seconds


async def test_while_a_node_is_gone_its_keys_fail_in_time_and_the_others_go_on(tmp_path: Path) -> None:
    async with (
        ProcessCluster(tmp_path, nodes=2, splits=["m"], router=True, storage_options=ALONE) as cluster,
        connect(cluster.address("router"), mode="gateway", timeout=60) as gateway,
        connect(cluster.address("router"), timeout=60) as thick,
    ):
        here, there = Key.text("a"), Key.text("z")
        await thick.put(here, b"1")
        cluster.kill("storage-1")
        for client in (thick, gateway):
            await holds_once(partial(fails_in_time, client, here), (0.5, 0.5, 2, 5))
            await client.put(there, b"1")
            assert await client.get(there)
        await cluster.start("storage-1")
        for client in (thick, gateway):
            record = await client.get(here)
            assert record is not None
            await client.put(here, b"3")


async def test_sigterm_ends_a_node_in_order_and_no_acknowledged_write_is_lost(tmp_path: Path) -> None:
    async with ProcessCluster(tmp_path) as cluster:
        acknowledged: list[Key] = []
        async with connect(cluster.address("storage-1"), timeout=60) as client:

            async def write(number: int) -> None:
                key = Key.of(number)
                try:
                    await client.put(key, b"v", timeout=1)
                except DstkError:
                    return
                acknowledged.append(key)

            writes = [asyncio.create_task(write(number)) for number in range(2000)]
            await asyncio.sleep(0.02)
            loop = asyncio.get_running_loop()
            assert await loop.run_in_executor(None, cluster.terminate, "storage-1") == 0
            await asyncio.gather(*writes)
        assert '"message": "stopped"' in cluster.log("storage-1")
        await cluster.start("storage-1")
        async with connect(cluster.address("storage-1"), timeout=60) as client:
            records = await asyncio.gather(*(client.get(key) for key in acknowledged))
            assert all(records)


async def test_a_routers_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    async with ProcessCluster(tmp_path, router=True, router_options=["--workers", "2"]) as cluster:
        await eventually(lambda: len(_children(cluster.pid("router"))) == 2)
        workers = _children(cluster.pid("router"))
        cluster.kill("router")
        await eventually(lambda: not any(map(_runs, workers)))


def _children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def _runs(pid: str) -> bool:
    """Whether a process runs and is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
