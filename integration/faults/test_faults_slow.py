"""Slow disks under load: calls are late, but none fails. And disks that hang."""

import pytest
from kit.process_cluster import ProcessCluster

from dstk_service.errors import DeadlineExceeded, WriteAmbiguous
from faults.attempts import failures, summary
from faults.scenario import FAILOVER_SECONDS, RECONFIGURATION_SECONDS, under_load

pytestmark = pytest.mark.slow

SLOW_SECONDS = 0.15
"""The additional seconds of each fsync, as on a shared disk."""
HANGING_SECONDS = 4.0
"""Longer than a primary waits for a follower whose disk hangs."""
HUNG_SECONDS = 15.0
"""Longer than a caller waits."""
LOAD_SECONDS = 3.0


async def test_a_follower_with_a_slow_disk_makes_writes_slow_and_stays(tampered_cluster: ProcessCluster) -> None:
    async with under_load(tampered_cluster, "slow-follower") as scenario:
        victim = await scenario.follower_of_all()
        begun = scenario.now()
        scenario.cluster.tampering(victim).slow = SLOW_SECONDS
        await scenario.runs_for(LOAD_SECONDS)
        scenario.cluster.tampering(victim).slow = 0
        scenario.nothing_failed(since=begun)
        scenario.no_pause_above(RECONFIGURATION_SECONDS, since=begun)


async def test_a_primary_with_a_slow_disk_makes_writes_slow_and_stays(tampered_cluster: ProcessCluster) -> None:
    async with under_load(tampered_cluster, "slow-primary") as scenario:
        victim = await scenario.some_primary()
        scenario.cluster.tampering(victim).slow = SLOW_SECONDS
        await scenario.runs_for(LOAD_SECONDS)
        scenario.cluster.tampering(victim).slow = 0
        scenario.nothing_failed()
        scenario.no_pause_above(RECONFIGURATION_SECONDS)


async def test_a_follower_whose_disk_hangs_is_let_go_and_comes_back(tampered_cluster: ProcessCluster) -> None:
    async with under_load(tampered_cluster, "hanging-follower") as scenario:
        victim = await scenario.follower_of_all()
        begun = scenario.now()
        scenario.cluster.tampering(victim).slow = HANGING_SECONDS
        await scenario.operator.let_go(victim)
        await scenario.calls_are_answered()
        scenario.cluster.tampering(victim).slow = 0
        await scenario.operator.healed()
        scenario.nothing_failed(since=begun)
        scenario.no_pause_above(FAILOVER_SECONDS, since=begun)


async def test_a_primary_whose_disk_hangs_leaves_it_to_the_others(tampered_cluster: ProcessCluster) -> None:
    """Calls that wait for the disk miss their deadline; no other call fails."""
    async with under_load(tampered_cluster, "hanging-primary") as scenario:
        victim = await scenario.some_primary()
        scenario.cluster.tampering(victim).slow = HUNG_SECONDS
        await scenario.operator.leads_nothing(victim)
        await scenario.calls_are_answered()
        scenario.cluster.tampering(victim).slow = 0
        others = [
            a for a in failures(scenario.load.attempts) if not isinstance(a.error, WriteAmbiguous | DeadlineExceeded)
        ]
        assert not others, summary(others)


async def test_nodes_that_stop_for_moments_again_and_again_do_no_harm(tampered_cluster: ProcessCluster) -> None:
    """Pauses as on a machine that swaps or shares a processor: each is shorter than a lease."""
    async with under_load(tampered_cluster, "stutter") as scenario:
        for round_ in range(6):
            victim = scenario.cluster.names[round_ % 3]
            scenario.cluster.pause(victim)
            await scenario.runs_for(0.3)
            scenario.cluster.resume(victim)
            await scenario.runs_for(0.2)
        await scenario.calls_are_answered()
        scenario.no_pause_above(RECONFIGURATION_SECONDS)
