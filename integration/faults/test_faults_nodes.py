"""Storage nodes that die, hang and come back, under load."""

import asyncio
import time

import pytest
from kit.process_cluster import ProcessCluster

from faults.scenario import FAILOVER_SECONDS, RECONFIGURATION_SECONDS, under_load

pytestmark = [pytest.mark.slow]


async def test_a_primary_that_is_killed_is_succeeded_in_two_seconds(cluster: ProcessCluster) -> None:
    async with under_load(cluster, "killed-primary") as scenario:
        victim = await scenario.some_primary()
        killed = time.monotonic()
        cluster.kill(victim)
        await scenario.calls_are_answered()
        scenario.no_pause_above(FAILOVER_SECONDS, since=killed)
        await cluster.start(victim)


async def test_a_primary_that_hangs_is_succeeded_and_does_no_harm_when_it_goes_on(cluster: ProcessCluster) -> None:
    async with under_load(cluster, "hung-primary") as scenario:
        victim = await scenario.some_primary()
        hung = time.monotonic()
        cluster.pause(victim)
        await scenario.calls_are_answered()
        scenario.no_pause_above(FAILOVER_SECONDS, since=hung)
        cluster.resume(victim)


async def test_a_node_that_has_everything_is_killed(cluster: ProcessCluster) -> None:
    async with under_load(cluster, "killed-leader-of-all") as scenario:
        victim = cluster.names[0]
        await scenario.operator.lead_everything(victim)
        killed = time.monotonic()
        cluster.kill(victim)
        await scenario.calls_are_answered()
        scenario.no_pause_above(FAILOVER_SECONDS, since=killed)
        await cluster.start(victim)


async def test_a_killed_follower_holds_writes_up_for_a_moment_only(cluster: ProcessCluster) -> None:
    async with under_load(cluster, "killed-follower") as scenario:
        victim = await scenario.follower_of_all()
        killed = time.monotonic()
        cluster.kill(victim)
        await scenario.calls_are_answered()
        await cluster.start(victim)
        await scenario.operator.healed()
        scenario.nothing_failed(since=killed)
        scenario.no_pause_above(FAILOVER_SECONDS, since=killed)


async def test_a_follower_that_hangs_holds_writes_up_for_a_lease_only(cluster: ProcessCluster) -> None:
    async with under_load(cluster, "hung-follower") as scenario:
        victim = await scenario.follower_of_all()
        hung = time.monotonic()
        cluster.pause(victim)
        await scenario.calls_are_answered()
        cluster.resume(victim)
        await scenario.operator.healed()
        scenario.nothing_failed(since=hung)
        scenario.no_pause_above(FAILOVER_SECONDS, since=hung)


async def test_all_nodes_killed_at_one_moment_come_back_with_everything(cluster: ProcessCluster) -> None:
    async with under_load(cluster, "killed-all") as scenario:
        cluster.kill(*cluster.names)
        await asyncio.gather(*(cluster.start(name) for name in cluster.names))
        await scenario.calls_are_answered()


async def test_a_rolling_restart_fails_no_request(cluster: ProcessCluster) -> None:
    async with under_load(cluster, "rolling") as scenario:
        for name in cluster.names:
            await cluster.restart(name)
            await scenario.operator.healed()
        scenario.nothing_failed()
        scenario.no_pause_above(RECONFIGURATION_SECONDS)
