"""Deleted space comes back: by itself where much was deleted, and at once by `dstk nodes compact`."""

import asyncio
import json
import random
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from kit.command import Command
from kit.operators import operator_at
from kit.process_cluster import ProcessCluster, running
from kit.spoiled import holds_once

from dstk_client import Client
from dstk_keytypes import Key, KeyRange
from dstk_service.testing import eventually

pytestmark = [pytest.mark.slow]

MIB = 1 << 20
NAMES = ("storage-1", "storage-2", "storage-3")
RECORDS, RECORD = 12_000, 1000


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessCluster]:
    """Small write buffers, so that there are tables soon."""
    options = ("--write-buffer-bytes", str(MIB))
    made = ProcessCluster(tmp_path_factory.mktemp("space"), nodes=3, splits=["m"], router=True, storage_options=options)
    with running(made):
        yield made


@pytest.fixture
def dstk(cluster: ProcessCluster, tmp_path: Path) -> Command:
    return Command(cluster.address("router"), tmp_path)


def taken(cluster: ProcessCluster, name: str) -> int:
    """Bytes of a node's data directory."""
    return sum(file.stat().st_size for file in (cluster.data_dir(name) / "leveldb").iterdir() if file.exists())


async def load(client: Client, prefix: str, ttl: timedelta | None = None) -> list[Key]:
    """12 MB, half of them in each partition's range where the prefix is empty."""
    noise = random.Random(1)
    keys = [Key.text(f"{prefix}{number:06}") for number in range(RECORDS)]
    for at in range(0, RECORDS, 1000):
        records = [(key, noise.randbytes(RECORD)) for key in keys[at : at + 1000]]
        await client.bulk_insert(records, ttl=ttl)
    return keys


async def test_what_has_expired_gives_its_space_back_on_every_node_by_itself(
    cluster: ProcessCluster, client: Client
) -> None:
    async def loads_in_time(ttl: timedelta) -> None:
        await load(client, "e/", ttl)
        assert all(taken(cluster, name) > RECORDS * RECORD * 0.9 for name in NAMES), "some have expired already"

    await holds_once(loads_in_time, [timedelta(seconds=seconds) for seconds in (3, 12, 48)])
    await eventually(lambda: all(taken(cluster, name) < 4 * MIB for name in NAMES), within=120)


async def test_a_range_that_moved_away_gives_its_space_back_where_it_was(
    cluster: ProcessCluster, client: Client
) -> None:
    await load(client, "z/")
    async with operator_at(cluster.address("router")) as operator:
        await operator.pause_controller()
        entry = await operator.partition_of(b"z")
        leaver = next(node for node in entry.replicas if node != entry.primary)
        before = taken(cluster, leaver)
        await operator.remove_replica(entry.id, leaver)
        await eventually(lambda: taken(cluster, leaver) < before - 8 * MIB)
        await operator.add_replica(entry.id, leaver)
        await operator.in_sync(entry.id, leaver)
    await client.delete_range(KeyRange.prefix(b"z/"))


async def test_a_node_is_compacted_by_hand_in_part_and_whole(
    cluster: ProcessCluster, client: Client, dstk: Command
) -> None:
    keys = await load(client, "a/")
    await asyncio.gather(*(client.delete(key) for key in keys[:1200]))  # a tenth: too little by itself
    answers = await asyncio.to_thread(
        dstk.many,
        ["nodes", "compact", "storage-1", "--partition", "2", "--output", "json"],
        ["nodes", "compact", "storage-1", "--start", "a/001000", "--end", "a/001400", "--output", "json"],
        ["nodes", "compact", "storage-1"],
        ["nodes", "--output", "json"],
        ["nodes", "compact", "storage-9"],
        ["nodes", "compact", "storage-1", "--partition", "1", "--start", "a"],
        ["nodes", "compact", "storage-1", "--partition", "77"],
        ["nodes", "compact", "storage-1", "--start", "b", "--end", "a"],
        ["nodes", "compact", "Storage 1"],
    )
    codes = [answer.code for answer in answers]
    assert codes[:4] == [0] * 4, answers
    assert all(codes[4:]), codes
    part = json.loads(answers[1].stdout)
    assert part["bytes_after"] <= part["bytes_before"] < 2 * MIB, "LevelDB may have compacted it before"
    assert 150 * RECORD < part["bytes_after"] < 300 * RECORD, "200 of 400 records are left"
    assert b"compacted storage-1: ~" in answers[2].stdout
    nodes = {node["id"]: node for node in json.loads(answers[3].stdout)["nodes"]}
    assert nodes["storage-1"]["reclaimable_bytes"] == 0
    assert nodes["storage-2"]["reclaimable_bytes"] > MIB / 2
    # a file that somebody was reading is deleted when the node next looks
    await eventually(lambda: taken(cluster, "storage-1") < taken(cluster, "storage-2"))
    errors = [answer.stderr.decode() for answer in answers[4:]]
    assert "storage-9" in errors[0]
    assert "--partition excludes --start and --end" in errors[1]
    assert "there is no partition 77" in errors[2]
    assert all("Traceback" not in error for error in errors)
