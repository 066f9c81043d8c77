"""Networks that come apart, under load; half of the callers talk to the nodes themselves, half through the routers."""

import time

from faults.attempts import failures, summary
from faults.stage import HITCH_SECONDS, TAKEOVER_SECONDS, Stage, under_load

from containers.cluster import CLIENTS, ETCD, ContainerCluster
from dstk_service.testing import eventually

CUT_SECONDS = 8.0
"""Longer than the leases of registrations in etcd (6 s)."""


async def test_a_primary_cut_off_from_its_followers_is_not_waited_for(cluster: ContainerCluster) -> None:
    async with under_load(cluster, "primary-followers", keys_each=3) as stage:
        victim, others = await sides(stage)
        cut = time.monotonic()
        await cluster.partition({victim}, others)
        await they_part(stage, victim)
        await stage.calls_are_answered()
        stage.no_pause_above(TAKEOVER_SECONDS, since=cut)
        await cluster.mend()


async def test_a_primary_that_is_not_heard_by_its_followers_is_not_waited_for(cluster: ContainerCluster) -> None:
    async with under_load(cluster, "primary-unheard", keys_each=3) as stage:
        victim, others = await sides(stage)
        cut = time.monotonic()
        await cluster.cut(victim, *others)
        await they_part(stage, victim)
        await stage.calls_are_answered()
        stage.no_pause_above(TAKEOVER_SECONDS, since=cut)
        await cluster.mend()


async def test_a_primary_that_does_not_hear_its_followers_is_not_waited_for(cluster: ContainerCluster) -> None:
    async with under_load(cluster, "primary-deaf", keys_each=3) as stage:
        victim, others = await sides(stage)
        cut = time.monotonic()
        for other in others:
            await cluster.cut(other, victim)
        await they_part(stage, victim)
        await stage.calls_are_answered()
        stage.no_pause_above(TAKEOVER_SECONDS, since=cut)
        await cluster.mend()


async def test_a_primary_cut_off_from_etcd_goes_on(cluster: ContainerCluster) -> None:
    async with under_load(cluster, "primary-etcd", keys_each=3) as stage:
        victim, _ = await sides(stage)
        await cluster.partition({victim}, ETCD)
        await stage.logs(victim, "waiting for etcd", within=30)
        await stage.goes_on_for(CUT_SECONDS)
        await cluster.mend()
        stage.nothing_failed()
        stage.no_pause_above(HITCH_SECONDS)


async def test_a_primary_that_etcd_does_not_hear_goes_on(cluster: ContainerCluster) -> None:
    async with under_load(cluster, "etcd-unheard", keys_each=3) as stage:
        victim, _ = await sides(stage)
        await cluster.cut(victim, *ETCD)
        await stage.logs(victim, "waiting for etcd", within=30)
        await stage.goes_on_for(CUT_SECONDS)
        await cluster.mend()
        stage.nothing_failed()
        stage.no_pause_above(HITCH_SECONDS)


async def test_clients_cut_off_from_a_primary_are_told_and_those_behind_a_router_notice_nothing(
    cluster: ContainerCluster,
) -> None:
    async with under_load(cluster, "primary-clients", keys_each=3) as stage:
        victim, _ = await sides(stage)
        led = await stage.led_by(victim)
        cut = time.monotonic()
        await cluster.partition({victim}, {CLIENTS})
        await eventually(lambda: failures(stage.load.attempts), within=30)
        await stage.calls_are_answered()
        await cluster.mend()
        await stage.calls_are_answered(led)
        wrong = [a for a in failures(stage.load.attempts) if a.key not in led or a.returned < cut]
        assert not wrong, summary(wrong)


async def sides(stage: Stage[ContainerCluster]) -> tuple[str, set[str]]:
    """A node that leads something, and the others."""
    victim = await stage.primary_of_some()
    return victim, set(stage.cluster.names) - {victim}


async def they_part(stage: Stage[ContainerCluster], victim: str) -> None:
    """Waits until no partition has both the node and another one in sync: else the cut was none."""

    async def parted() -> bool:
        entries = [status.partition for status in await stage.operator.partitions()]
        return not any(victim in entry.in_sync and len(entry.in_sync) > 1 for entry in entries)

    await eventually(parted, within=20)
