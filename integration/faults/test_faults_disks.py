"""Disks that run full or go bad, under load."""

import asyncio
import random

import pytest
from kit.process_cluster import ProcessCluster

from dstk_client import connect
from dstk_keytypes import Key
from dstk_service.errors import DiskFull, Quarantined, WriteAmbiguous
from faults.attempts import failures, summary
from faults.scenario import LETTERS, Scenario, under_load

pytestmark = [pytest.mark.slow]


async def test_a_follower_whose_disk_is_full_is_let_go_and_comes_back_when_it_has_room(
    cluster_on_small_disks: ProcessCluster,
) -> None:
    async with under_load(cluster_on_small_disks, "full-follower") as scenario:
        victim = await scenario.follower_of_all()
        scenario.cluster.disk(victim).fill()
        await scenario.operator.let_go(victim)
        await scenario.calls_are_answered()
        scenario.cluster.disk(victim).make_room()
        await scenario.operator.healed()
        scenario.nothing_failed()


async def test_a_primary_whose_disk_is_full_hands_over_to_a_node_that_has_room(
    cluster_on_small_disks: ProcessCluster,
) -> None:
    async with under_load(cluster_on_small_disks, "full-primary") as scenario:
        victim = await scenario.some_primary()
        scenario.cluster.disk(victim).fill()
        await scenario.operator.leads_nothing(victim)
        await scenario.calls_are_answered()
        scenario.cluster.disk(victim).make_room()


async def test_when_all_disks_are_full_reads_go_on_and_writes_are_told_why(
    cluster_on_small_disks: ProcessCluster,
) -> None:
    async with under_load(cluster_on_small_disks, "full-everywhere") as scenario:
        for name in scenario.cluster.names:
            scenario.cluster.disk(name).fill()
        await scenario.writes_are_refused_with(DiskFull)
        await scenario.reads_are_answered()
        for name in scenario.cluster.names:
            scenario.cluster.disk(name).make_room()
        await scenario.calls_are_answered()


async def test_a_follower_whose_tables_are_corrupt_begins_anew_and_nobody_notices(
    cluster_on_small_disks: ProcessCluster,
) -> None:
    async with under_load(cluster_on_small_disks, "corrupt-follower") as scenario:
        await fill_tables(scenario)
        victim = await scenario.follower_of_all()
        await damage(scenario, victim)
        scenario.nothing_failed()


async def test_a_primary_whose_tables_are_corrupt_hands_over_and_restarts_empty(
    cluster_on_small_disks: ProcessCluster,
) -> None:
    async with under_load(cluster_on_small_disks, "corrupt-primary") as scenario:
        await fill_tables(scenario)
        victim = await scenario.some_primary()
        await damage(scenario, victim)
        others = [a for a in failures(scenario.load.attempts) if not isinstance(a.error, Quarantined | WriteAmbiguous)]
        assert not others, summary(others)


async def fill_tables(scenario: Scenario) -> None:
    """Writes so much that LevelDB has tables."""
    noise = random.Random(1)
    async with connect(scenario.cluster.address("router"), mode="gateway", timeout=60) as client:
        puts = (
            client.put(Key.text(f"{letter}/fill/{n}"), noise.randbytes(1000)) for letter in LETTERS for n in range(100)
        )
        await asyncio.gather(*puts)


async def damage(scenario: Scenario, victim: str) -> None:
    """Damages a node's tables, reads them, and waits until the node has reset its engine."""
    assert scenario.cluster.disk(victim).damage_tables()
    await scenario.read_everything()
    await scenario.logs(victim, "the corrupt engine was reset")
    await scenario.operator.healed()
