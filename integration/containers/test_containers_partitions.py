"""Networks that come apart, under load; half of the callers talk to the nodes themselves, half through the routers."""

import time

from faults.attempts import failures, summary
from faults.scenario import FAILOVER_SECONDS, RECONFIGURATION_SECONDS, Scenario, under_load

from containers.cluster import CLIENTS, ETCD, ContainerCluster
from dstk_service.testing import eventually

CUT_SECONDS = 8.0
"""Longer than the leases of registrations in etcd (6 s)."""


async def test_a_primary_cut_off_from_its_followers_is_not_waited_for(cluster: ContainerCluster) -> None:
    async with under_load(cluster, "primary-followers", keys_each=3) as scenario:
        victim, others = await sides(scenario)
        cut = time.monotonic()
        await cluster.partition({victim}, others)
        await they_part(scenario, victim)
        await scenario.calls_are_answered()
        scenario.no_pause_above(FAILOVER_SECONDS, since=cut)
        await cluster.mend()


async def test_a_primary_that_is_not_heard_by_its_followers_is_not_waited_for(cluster: ContainerCluster) -> None:
    async with under_load(cluster, "primary-unheard", keys_each=3) as scenario:
        victim, others = await sides(scenario)
        cut = time.monotonic()
        await cluster.cut(victim, *others)
        await they_part(scenario, victim)
        await scenario.calls_are_answered()
        scenario.no_pause_above(FAILOVER_SECONDS, since=cut)
        await cluster.mend()


async def test_a_primary_that_does_not_hear_its_followers_is_not_waited_for(cluster: ContainerCluster) -> None:
    async with under_load(cluster, "primary-deaf", keys_each=3) as scenario:
        victim, others = await sides(scenario)
        cut = time.monotonic()
        for other in others:
            await cluster.cut(other, victim)
        await they_part(scenario, victim)
        await scenario.calls_are_answered()
        scenario.no_pause_above(FAILOVER_SECONDS, since=cut)
        await cluster.mend()


async def test_a_primary_cut_off_from_etcd_goes_on(cluster: ContainerCluster) -> None:
    async with under_load(cluster, "primary-etcd", keys_each=3) as scenario:
        victim, _ = await sides(scenario)
        await cluster.partition({victim}, ETCD)
        await scenario.logs(victim, "waiting for etcd")
        await scenario.runs_for(CUT_SECONDS)
        await cluster.mend()
        scenario.nothing_failed()
        scenario.no_pause_above(RECONFIGURATION_SECONDS)


async def test_a_primary_that_etcd_does_not_hear_goes_on(cluster: ContainerCluster) -> None:
    async with under_load(cluster, "etcd-unheard", keys_each=3) as scenario:
        victim, _ = await sides(scenario)
        await cluster.cut(victim, *ETCD)
        await scenario.logs(victim, "waiting for etcd")
        await scenario.runs_for(CUT_SECONDS)
        await cluster.mend()
        scenario.nothing_failed()
        scenario.no_pause_above(RECONFIGURATION_SECONDS)


async def test_clients_cut_off_from_a_primary_are_told_and_those_behind_a_router_notice_nothing(
    cluster: ContainerCluster,
) -> None:
    async with under_load(cluster, "primary-clients", keys_each=3) as scenario:
        victim, _ = await sides(scenario)
        led = await scenario.led_by(victim)
        cut = time.monotonic()
        await cluster.partition({victim}, {CLIENTS})
        await eventually(lambda: failures(scenario.load.attempts))
        await scenario.calls_are_answered()
        await cluster.mend()
        await scenario.calls_are_answered(led)
        wrong = [a for a in failures(scenario.load.attempts) if a.key not in led or a.returned < cut]
        assert not wrong, summary(wrong)


async def sides(scenario: Scenario[ContainerCluster]) -> tuple[str, set[str]]:
    """A node that leads something, and the others."""
    victim = await scenario.some_primary()
    return victim, set(scenario.cluster.names) - {victim}


async def they_part(scenario: Scenario[ContainerCluster], victim: str) -> None:
    """Waits until no partition has both the node and another one in sync: else the cut was none."""

    async def parted() -> bool:
        entries = [status.partition for status in await scenario.operator.partitions()]
        return not any(victim in entry.in_sync and len(entry.in_sync) > 1 for entry in entries)

    await eventually(parted)
