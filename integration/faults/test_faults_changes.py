"""Reconfigurations of busy partitions under load: no call fails."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from kit.process_cluster import ProcessCluster

from dstk_keytypes import Key
from faults.scenario import LETTERS, RECONFIGURATION_SECONDS, Scenario, under_load

pytestmark = pytest.mark.slow


@asynccontextmanager
async def unnoticed(cluster: ProcessCluster, name: str) -> AsyncIterator[Scenario]:
    """A scenario in which only operators change the map, and no call fails or waits long."""
    async with under_load(cluster, name) as scenario:
        await scenario.operator.pause_controller()
        yield scenario
        await scenario.calls_are_answered()
        scenario.nothing_failed()
        scenario.no_pause_above(RECONFIGURATION_SECONDS)


async def test_primaries_are_switched(cluster_of_four: ProcessCluster) -> None:
    async with unnoticed(cluster_of_four, "switch") as scenario:
        for letter in LETTERS * 2:
            entry = await scenario.operator.partition_of(Key.text(f"{letter}/"))
            await scenario.operator.transfer(entry.id)


async def test_busy_partitions_are_split_and_merged_again(cluster_of_four: ProcessCluster) -> None:
    async with unnoticed(cluster_of_four, "split") as scenario:
        middles = [Key.text(f"{letter}/split/3") for letter in LETTERS]
        for middle in middles:
            await scenario.operator.split(middle)
        await scenario.calls_are_answered()
        for middle in middles:
            await scenario.operator.merge(middle)
        assert len(await scenario.operator.partitions()) == len(LETTERS)


async def test_busy_partitions_are_moved(cluster_of_four: ProcessCluster) -> None:
    async with unnoticed(cluster_of_four, "move") as scenario:
        for letter in LETTERS:
            entry = await scenario.operator.partition_of(Key.text(f"{letter}/"))
            (target,) = set(scenario.cluster.names) - set(entry.replicas)
            await scenario.operator.move(entry.id, entry.primary, target)
            moved = await scenario.operator.partition_of(Key.text(f"{letter}/"))
            assert moved.primary == target
            assert entry.primary not in moved.replicas
