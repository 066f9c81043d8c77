"""Nodes and routers die, hang, come and go, under load."""

import time

from faults.scenario import FAILOVER_SECONDS, RECONFIGURATION_SECONDS, under_load

from containers.cluster import ROUTERS, ContainerCluster
from dstk_service.testing import eventually

MOVE_SECONDS = 90.0
"""For the controller to move replicas, which it does two at a time and looks at once a second."""


async def test_a_primary_that_is_killed_is_succeeded(cluster: ContainerCluster) -> None:
    async with under_load(cluster, "killed", keys_each=3) as scenario:
        victim = await scenario.some_primary()
        killed = time.monotonic()
        await cluster.kill(victim)
        await scenario.calls_are_answered()
        scenario.no_pause_above(FAILOVER_SECONDS, since=killed)
        await cluster.start(victim)


async def test_a_primary_that_hangs_is_succeeded_and_does_no_harm_when_it_goes_on(cluster: ContainerCluster) -> None:
    async with under_load(cluster, "hung", keys_each=3) as scenario:
        victim = await scenario.some_primary()
        hung = time.monotonic()
        await cluster.pause(victim)
        await scenario.calls_are_answered()
        scenario.no_pause_above(FAILOVER_SECONDS, since=hung)
        await cluster.resume(victim)
        await cluster.healthy(victim)


async def test_a_router_that_dies_and_one_that_hangs_are_taken_out(cluster: ContainerCluster) -> None:
    async with under_load(cluster, "routers", keys_each=3) as scenario:
        for strike, heal in ((cluster.kill, cluster.start), (cluster.pause, cluster.resume)):
            for router in ROUTERS:
                struck = time.monotonic()
                await strike(router)
                await scenario.calls_are_answered()
                await heal(router)
                await cluster.healthy(router)
                scenario.no_pause_above(FAILOVER_SECONDS, since=struck)


async def test_a_new_node_fills_and_a_drained_one_leaves_nothing_behind(cluster: ContainerCluster) -> None:
    new = "storage-4"
    async with under_load(cluster, "come-and-go", keys_each=3) as scenario:
        await cluster.up(new)
        cluster.names.append(new)
        scenario.logged = {**scenario.logged, new: 0}

        async def holds_something() -> bool:
            return bool((await scenario.operator.nodes())[new].replicas)

        await eventually(holds_something, within=MOVE_SECONDS)
        await scenario.operator.healed(within=MOVE_SECONDS)
        await cluster.run("router-1", "dstk", "nodes", "drain", new, "--wait")
        await cluster.run("router-1", "dstk", "nodes", "remove", new, "--yes")
        assert all(new not in status.partition.replicas for status in await scenario.operator.partitions())
        await scenario.operator.healed()
        await scenario.calls_are_answered()
        scenario.nothing_failed()
        scenario.no_pause_above(RECONFIGURATION_SECONDS)
        await cluster.remove(new)
        cluster.names.remove(new)
