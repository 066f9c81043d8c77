"""Planned changes of busy partitions, under load: nobody notices."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from kit.process_cluster import ProcessCluster

from dstk_keytypes import Key
from faults.stage import HITCH_SECONDS, LETTERS, Stage, under_load

pytestmark = pytest.mark.slow


@asynccontextmanager
async def unnoticed(cluster: ProcessCluster, name: str) -> AsyncIterator[Stage]:
    """A stage on which operators alone change the map, and on which no call fails or waits for long."""
    async with under_load(cluster, name) as stage:
        await stage.operator.pause_controller()
        yield stage
        await stage.calls_are_answered()
        stage.nothing_failed()
        stage.no_pause_above(HITCH_SECONDS)


async def test_primaries_are_switched(cluster_of_four: ProcessCluster) -> None:
    async with unnoticed(cluster_of_four, "switch") as stage:
        for letter in LETTERS * 2:
            entry = await stage.operator.partition_of(Key.text(f"{letter}/"))
            await stage.operator.transfer(entry.id)


async def test_busy_partitions_are_split_and_merged_again(cluster_of_four: ProcessCluster) -> None:
    async with unnoticed(cluster_of_four, "split") as stage:
        middles = [Key.text(f"{letter}/split/3") for letter in LETTERS]
        for middle in middles:
            await stage.operator.split(middle)
        await stage.calls_are_answered()
        for middle in middles:
            await stage.operator.merge(middle)
        assert len(await stage.operator.partitions()) == len(LETTERS)


async def test_busy_partitions_are_moved(cluster_of_four: ProcessCluster) -> None:
    async with unnoticed(cluster_of_four, "move") as stage:
        for letter in LETTERS:
            entry = await stage.operator.partition_of(Key.text(f"{letter}/"))
            (target,) = set(stage.cluster.names) - set(entry.replicas)
            await stage.operator.move(entry.id, entry.primary, target)
            moved = await stage.operator.partition_of(Key.text(f"{letter}/"))
            assert moved.primary == target
            assert entry.primary not in moved.replicas
