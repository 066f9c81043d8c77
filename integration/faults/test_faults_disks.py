"""Disks that run full or go bad, under load."""

import asyncio
import random

import pytest
from kit.process_cluster import ProcessCluster

from dstk_client import connect
from dstk_keytypes import Key
from dstk_service.errors import DiskFull, Quarantined, WriteAmbiguous
from faults.attempts import failures, summary
from faults.stage import LETTERS, Stage, under_load

pytestmark = [pytest.mark.slow]


async def test_a_follower_whose_disk_is_full_is_let_go_and_comes_back_when_it_has_room(
    cluster_on_small_disks: ProcessCluster,
) -> None:
    async with under_load(cluster_on_small_disks, "full-follower") as stage:
        victim = await stage.follower_of_all()
        stage.cluster.disk(victim).fill()
        await stage.operator.let_go(victim)
        await stage.calls_are_answered()
        stage.cluster.disk(victim).make_room()
        await stage.operator.healed()
        stage.nothing_failed()


async def test_a_primary_whose_disk_is_full_hands_over_to_a_node_that_has_room(
    cluster_on_small_disks: ProcessCluster,
) -> None:
    async with under_load(cluster_on_small_disks, "full-primary") as stage:
        victim = await stage.primary_of_some()
        stage.cluster.disk(victim).fill()
        await stage.operator.leads_nothing(victim)
        await stage.calls_are_answered()
        stage.cluster.disk(victim).make_room()


async def test_when_all_disks_are_full_reads_go_on_and_writes_are_told_why(
    cluster_on_small_disks: ProcessCluster,
) -> None:
    async with under_load(cluster_on_small_disks, "full-everywhere") as stage:
        for name in stage.cluster.names:
            stage.cluster.disk(name).fill()
        await stage.writes_say(DiskFull)
        await stage.reads_are_answered()
        for name in stage.cluster.names:
            stage.cluster.disk(name).make_room()
        await stage.calls_are_answered()


async def test_a_follower_whose_tables_are_corrupt_begins_anew_and_nobody_notices(
    cluster_on_small_disks: ProcessCluster,
) -> None:
    async with under_load(cluster_on_small_disks, "corrupt-follower") as stage:
        await fill_tables(stage)
        victim = await stage.follower_of_all()
        await damage(stage, victim)
        stage.nothing_failed()


async def test_a_primary_whose_tables_are_corrupt_hands_over_and_begins_anew(
    cluster_on_small_disks: ProcessCluster,
) -> None:
    async with under_load(cluster_on_small_disks, "corrupt-primary") as stage:
        await fill_tables(stage)
        victim = await stage.primary_of_some()
        await damage(stage, victim)
        others = [a for a in failures(stage.load.attempts) if not isinstance(a.error, Quarantined | WriteAmbiguous)]
        assert not others, summary(others)


async def fill_tables(stage: Stage) -> None:
    """Writes so much that LevelDB has tables."""
    noise = random.Random(1)
    async with connect(stage.cluster.address("router"), mode="gateway") as client:
        puts = (
            client.put(Key.text(f"{letter}/fill/{n}"), noise.randbytes(1000)) for letter in LETTERS for n in range(100)
        )
        await asyncio.gather(*puts)


async def damage(stage: Stage, victim: str) -> None:
    """Damages a node's tables, has them read, and waits until the node has begun anew."""
    assert stage.cluster.disk(victim).damage_tables()
    await stage.has_all_read()
    await stage.logs(victim, "the engine was corrupt and begins anew")
    await stage.operator.healed()
