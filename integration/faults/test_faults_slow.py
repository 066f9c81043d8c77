"""Disks that become slow, under load: what waits is late, and nothing fails. And disks that hang."""

import pytest
from kit.process_cluster import ProcessCluster

from dstk_service.errors import DeadlineExceeded, WriteAmbiguous
from faults.attempts import failures, summary
from faults.stage import HITCH_SECONDS, TAKEOVER_SECONDS, under_load

pytestmark = pytest.mark.slow

SLOW_SECONDS = 0.15
"""What an fsync takes longer: as on a disk that many share."""
HANGING_SECONDS = 4.0
"""More than a primary waits for a follower that answers everything else."""
HUNG_SECONDS = 15.0
"""More than a caller waits."""
LOAD_SECONDS = 3.0


async def test_a_follower_with_a_slow_disk_makes_writes_slow_and_stays(tampered_cluster: ProcessCluster) -> None:
    async with under_load(tampered_cluster, "slow-follower") as stage:
        victim = await stage.follower_of_all()
        begun = stage.now()
        stage.cluster.tampering(victim).slow = SLOW_SECONDS
        await stage.goes_on_for(LOAD_SECONDS)
        stage.cluster.tampering(victim).slow = 0
        stage.nothing_failed(since=begun)
        stage.no_pause_above(HITCH_SECONDS, since=begun)


async def test_a_primary_with_a_slow_disk_makes_writes_slow_and_stays(tampered_cluster: ProcessCluster) -> None:
    async with under_load(tampered_cluster, "slow-primary") as stage:
        victim = await stage.primary_of_some()
        stage.cluster.tampering(victim).slow = SLOW_SECONDS
        await stage.goes_on_for(LOAD_SECONDS)
        stage.cluster.tampering(victim).slow = 0
        stage.nothing_failed()
        stage.no_pause_above(HITCH_SECONDS)


async def test_a_follower_whose_disk_hangs_is_let_go_and_comes_back(tampered_cluster: ProcessCluster) -> None:
    async with under_load(tampered_cluster, "hanging-follower") as stage:
        victim = await stage.follower_of_all()
        begun = stage.now()
        stage.cluster.tampering(victim).slow = HANGING_SECONDS
        await stage.operator.let_go(victim)
        await stage.calls_are_answered()
        stage.cluster.tampering(victim).slow = 0
        await stage.operator.healed()
        stage.nothing_failed(since=begun)
        stage.no_pause_above(TAKEOVER_SECONDS, since=begun)


async def test_a_primary_whose_disk_hangs_leaves_it_to_the_others(tampered_cluster: ProcessCluster) -> None:
    """Calls that wait for that disk have no outcome in time; no other call fails."""
    async with under_load(tampered_cluster, "hanging-primary") as stage:
        victim = await stage.primary_of_some()
        stage.cluster.tampering(victim).slow = HUNG_SECONDS
        await stage.operator.leads_nothing(victim)
        await stage.calls_are_answered()
        stage.cluster.tampering(victim).slow = 0
        others = [
            a for a in failures(stage.load.attempts) if not isinstance(a.error, WriteAmbiguous | DeadlineExceeded)
        ]
        assert not others, summary(others)


async def test_nodes_that_stop_for_moments_again_and_again_do_no_harm(tampered_cluster: ProcessCluster) -> None:
    """As machines do that swap, or share a processor: shorter than a lease each time."""
    async with under_load(tampered_cluster, "stutter") as stage:
        for round_ in range(6):
            victim = stage.cluster.names[round_ % 3]
            stage.cluster.pause(victim)
            await stage.goes_on_for(0.3)
            stage.cluster.resume(victim)
            await stage.goes_on_for(0.2)
        await stage.calls_are_answered()
        stage.no_pause_above(HITCH_SECONDS)
