"""etcd hangs or dies under load: only changes of the map are affected."""

import pytest
from kit.process_cluster import ProcessCluster

from dstk_service.errors import NotServing
from faults.scenario import RECONFIGURATION_SECONDS, under_load

pytestmark = [pytest.mark.slow]

AWAY_SECONDS = 8.0
"""Longer than the leases of the nodes' registrations; `python -m faults.measure` stops etcd for 30 s."""


async def test_without_etcd_no_request_fails_and_nobody_waits(cluster: ProcessCluster) -> None:
    async with under_load(cluster, "killed-etcd") as scenario:
        cluster.kill("etcd")
        await scenario.runs_for(AWAY_SECONDS)
        await cluster.start("etcd")
        await scenario.calls_are_answered()
        scenario.nothing_failed()
        scenario.no_pause_above(RECONFIGURATION_SECONDS)


async def test_planned_changes_that_find_no_etcd_are_refused_before_anybody_waits_for_them(
    cluster: ProcessCluster,
) -> None:
    async with under_load(cluster, "changes-without-etcd") as scenario:
        cluster.kill("etcd")
        for status in await scenario.operator.partitions():
            refusal = await scenario.operator.refusal_of_a_transfer(status.partition.id)
            assert isinstance(refusal, NotServing)
            assert "nothing was done" in str(refusal)
        await cluster.start("etcd")
        await scenario.calls_are_answered()
        scenario.nothing_failed()
        scenario.no_pause_above(RECONFIGURATION_SECONDS)


async def test_while_etcd_hangs_no_request_fails_and_nobody_waits(cluster: ProcessCluster) -> None:
    async with under_load(cluster, "hung-etcd") as scenario:
        cluster.pause("etcd")
        await scenario.runs_for(AWAY_SECONDS)
        cluster.resume("etcd")
        await scenario.calls_are_answered()
        scenario.nothing_failed()
        scenario.no_pause_above(RECONFIGURATION_SECONDS)


async def test_a_primary_that_dies_while_etcd_is_away_is_succeeded_when_etcd_is_back(cluster: ProcessCluster) -> None:
    async with under_load(cluster, "etcd-and-primary") as scenario:
        cluster.kill("etcd")
        victim = await scenario.some_primary()
        cluster.kill(victim)
        await scenario.runs_for(1.0)
        await cluster.start("etcd")
        await scenario.calls_are_answered()
        await cluster.start(victim)
