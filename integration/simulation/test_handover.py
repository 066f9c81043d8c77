"""A quiesced partition is transferred without an election: the map changes once, and the new primary serves by that entry."""

import asyncio
from dataclasses import replace

from dstk_cluster.mapstore import MapStore
from dstk_cluster.model import Merged, PartitionInfo
from dstk_keytypes import NodeId
from simulation.cluster import SimCluster
from simulation.playing import FIRST, SECOND, A, D, E, F, entry, get, leader, play, put, until


async def served_by(cluster: SimCluster, info: PartitionInfo) -> bool:
    """Whether the partition is served by this very entry."""
    home = cluster.nodes[info.primary].replication
    primary = None if home is None or info.id not in home.replicas else home.replicas[info.id].primary
    return (
        primary is not None
        and primary.is_serving
        and primary.epoch == info.epoch
        and await entry(cluster, info.id) == info
    )


async def another_in_sync(cluster: SimCluster) -> NodeId:
    info = await entry(cluster, FIRST)
    return next(node for node in info.in_sync if node != info.primary)


def test_a_switch_changes_the_map_once() -> None:
    async def scenario(cluster: SimCluster) -> None:
        await put(cluster, A, b"before")
        old, target = await entry(cluster, FIRST), await another_in_sync(cluster)
        new = await (await leader(cluster, FIRST)).reconfigurations.transfer(FIRST, target)
        assert new == replace(old, epoch=old.epoch + 1, primary=target)
        await until(lambda: served_by(cluster, new), within=0.3)
        assert await get(cluster, A) == b"before"

    play(scenario)


def test_both_halves_of_a_split_are_led_on() -> None:
    async def scenario(cluster: SimCluster) -> None:
        await put(cluster, F, b"before")
        for half in await (await leader(cluster, SECOND)).reconfigurations.split(SECOND, E):
            await until(lambda half=half: served_by(cluster, half), within=0.3)
        assert await get(cluster, F) == b"before"

    play(scenario)


def test_a_merge_is_led_on_by_who_led_both_parts() -> None:
    async def scenario(cluster: SimCluster) -> None:
        await put(cluster, D, b"before")
        upper = await entry(cluster, SECOND)
        if upper.primary != (await entry(cluster, FIRST)).primary:
            new = await (await leader(cluster, FIRST)).reconfigurations.transfer(FIRST, upper.primary)
            await until(lambda: served_by(cluster, new))
        merged = await (await leader(cluster, FIRST)).reconfigurations.merge(FIRST, SECOND)
        await until(lambda: served_by(cluster, merged), within=0.3)
        assert await get(cluster, D) == b"before"
        assert isinstance(merged.origin, Merged)
        assert await put(cluster, D, b"after") > merged.origin.upper_at.seq

    play(scenario)


def test_one_that_restarts_as_it_is_handed_a_partition_asks_the_others_first() -> None:
    """It cannot know whether it has led that epoch before."""

    async def scenario(cluster: SimCluster) -> None:
        old, target = await entry(cluster, FIRST), cluster.nodes[await another_in_sync(cluster)]
        target.crash()
        new = replace(old, epoch=old.epoch + 1, primary=target.me)
        assert await MapStore(cluster.etcd, "sim").change(old, new)
        target.start()
        await cluster.settle()
        primary = (await leader(cluster, FIRST)).replicas[FIRST].primary
        assert primary is not None
        assert primary.won > new.epoch

    play(scenario)


def test_one_that_has_promised_more_than_it_is_handed_is_not_its_heir() -> None:
    async def scenario(cluster: SimCluster) -> None:
        target = cluster.nodes[await another_in_sync(cluster)]
        home = await leader(cluster, FIRST)
        assert target.replication is not None
        promised = home.replicas[FIRST].info.epoch + 5
        transferring = asyncio.create_task(home.reconfigurations.transfer(FIRST, target.me))
        while not home.replicas[
            FIRST
        ].is_quiesced:  # until then the target is asked, and would say what it has promised
            await asyncio.sleep(0.0001)
        target.replication.replicas[FIRST].promise(promised)
        new = await transferring
        await cluster.settle()
        assert new.epoch < promised <= (await entry(cluster, FIRST)).epoch

    play(scenario)
