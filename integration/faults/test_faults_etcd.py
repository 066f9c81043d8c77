"""etcd that hangs or dies, under load: nobody notices, but who wants to change the map."""

import pytest
from kit.process_cluster import ProcessCluster

from dstk_service.errors import NotServing
from faults.stage import HITCH_SECONDS, under_load

pytestmark = [pytest.mark.slow]

AWAY_SECONDS = 8.0
"""Longer than the leases of the nodes' registrations; `python -m faults.measure` leaves it away for 30."""


async def test_without_etcd_no_request_fails_and_nobody_waits(cluster: ProcessCluster) -> None:
    async with under_load(cluster, "killed-etcd") as stage:
        cluster.kill("etcd")
        await stage.goes_on_for(AWAY_SECONDS)
        await cluster.start("etcd")
        await stage.calls_are_answered()
        stage.nothing_failed()
        stage.no_pause_above(HITCH_SECONDS)


async def test_planned_changes_that_find_no_etcd_are_refused_before_anybody_waits_for_them(
    cluster: ProcessCluster,
) -> None:
    async with under_load(cluster, "changes-without-etcd") as stage:
        cluster.kill("etcd")
        for status in await stage.operator.partitions():
            refusal = await stage.operator.refusal_of_a_transfer(status.partition.id)
            assert isinstance(refusal, NotServing)
            assert "nothing was done" in str(refusal)
        await cluster.start("etcd")
        await stage.calls_are_answered()
        stage.nothing_failed()
        stage.no_pause_above(HITCH_SECONDS)


async def test_while_etcd_hangs_no_request_fails_and_nobody_waits(cluster: ProcessCluster) -> None:
    async with under_load(cluster, "hung-etcd") as stage:
        cluster.pause("etcd")
        await stage.goes_on_for(AWAY_SECONDS)
        cluster.resume("etcd")
        await stage.calls_are_answered()
        stage.nothing_failed()
        stage.no_pause_above(HITCH_SECONDS)


async def test_a_primary_that_dies_while_etcd_is_away_is_succeeded_when_etcd_is_back(cluster: ProcessCluster) -> None:
    async with under_load(cluster, "etcd-and-primary") as stage:
        cluster.kill("etcd")
        victim = await stage.primary_of_some()
        cluster.kill(victim)
        await stage.goes_on_for(1.0)
        await cluster.start("etcd")
        await stage.calls_are_answered(within=10)
        await cluster.start(victim)
