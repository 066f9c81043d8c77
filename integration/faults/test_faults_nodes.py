"""Storage nodes that die, hang and come back, under load."""

import asyncio
import time

import pytest
from kit.process_cluster import ProcessCluster

from faults.stage import HITCH_SECONDS, TAKEOVER_SECONDS, under_load

pytestmark = [pytest.mark.slow]


async def test_a_primary_that_is_killed_is_succeeded_in_two_seconds(cluster: ProcessCluster) -> None:
    async with under_load(cluster, "killed-primary") as stage:
        victim = await stage.primary_of_some()
        killed = time.monotonic()
        cluster.kill(victim)
        await stage.calls_are_answered(within=5)
        stage.no_pause_above(TAKEOVER_SECONDS, since=killed)
        await cluster.start(victim)


async def test_a_primary_that_hangs_is_succeeded_and_does_no_harm_when_it_goes_on(cluster: ProcessCluster) -> None:
    async with under_load(cluster, "hung-primary") as stage:
        victim = await stage.primary_of_some()
        cluster.pause(victim)
        await stage.calls_are_answered(within=5)
        cluster.resume(victim)


async def test_a_node_that_has_everything_is_killed(cluster: ProcessCluster) -> None:
    async with under_load(cluster, "killed-leader-of-all") as stage:
        victim = cluster.names[0]
        await stage.operator.lead_everything(victim)
        killed = time.monotonic()
        cluster.kill(victim)
        await stage.calls_are_answered(within=5)
        stage.no_pause_above(TAKEOVER_SECONDS, since=killed)
        await cluster.start(victim)


async def test_a_killed_follower_holds_writes_up_for_a_moment_only(cluster: ProcessCluster) -> None:
    async with under_load(cluster, "killed-follower") as stage:
        victim = await stage.follower_of_all()
        killed = time.monotonic()
        cluster.kill(victim)
        await stage.calls_are_answered(within=5)
        await cluster.start(victim)
        await stage.operator.healed()
        stage.nothing_failed(since=killed)
        stage.no_pause_above(TAKEOVER_SECONDS, since=killed)


async def test_a_follower_that_hangs_holds_writes_up_for_a_lease_only(cluster: ProcessCluster) -> None:
    async with under_load(cluster, "hung-follower") as stage:
        victim = await stage.follower_of_all()
        hung = time.monotonic()
        cluster.pause(victim)
        await stage.calls_are_answered(within=5)
        cluster.resume(victim)
        await stage.operator.healed()
        stage.nothing_failed(since=hung)
        stage.no_pause_above(TAKEOVER_SECONDS, since=hung)


async def test_all_nodes_killed_at_one_moment_come_back_with_everything(cluster: ProcessCluster) -> None:
    async with under_load(cluster, "killed-all") as stage:
        cluster.kill(*cluster.names)
        await asyncio.gather(*(cluster.start(name) for name in cluster.names))
        await stage.calls_are_answered(within=15)


async def test_a_rolling_restart_fails_no_request(cluster: ProcessCluster) -> None:
    async with under_load(cluster, "rolling") as stage:
        for name in cluster.names:
            await cluster.restart(name)
            await stage.operator.healed()
        stage.nothing_failed()
        stage.no_pause_above(HITCH_SECONDS)
