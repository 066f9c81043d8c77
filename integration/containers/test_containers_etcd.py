"""etcd loses members, under load: nobody notices, but who wants to change the map."""

import json

from faults.scenario import RECONFIGURATION_SECONDS, under_load

from containers.cluster import ETCD, ContainerCluster

AWAY_SECONDS = 8.0
"""Longer than the leases of the nodes' registrations."""


async def test_the_loss_of_etcds_leader_is_not_noticed_and_changes_go_on(cluster: ContainerCluster) -> None:
    async with under_load(cluster, "etcd-leader", keys_each=3) as scenario:
        leader = await leader_of_etcd(cluster)
        await cluster.kill(leader)
        for status in await scenario.operator.partitions():
            await scenario.operator.transfer(status.partition.id)
        await scenario.runs_for(AWAY_SECONDS)
        await cluster.start(leader)
        scenario.nothing_failed()
        scenario.no_pause_above(RECONFIGURATION_SECONDS)


async def test_without_a_quorum_of_etcd_reads_and_writes_go_on(cluster: ContainerCluster) -> None:
    async with under_load(cluster, "etcd-quorum", keys_each=3) as scenario:
        await cluster.kill(*ETCD[:2])
        await scenario.logs("storage-1", "waiting for etcd")
        await scenario.runs_for(AWAY_SECONDS)
        await cluster.start(*ETCD[:2])
        await scenario.calls_are_answered()
        scenario.nothing_failed()
        scenario.no_pause_above(RECONFIGURATION_SECONDS)


async def leader_of_etcd(cluster: ContainerCluster) -> str:
    """The service."""
    for name in ETCD:
        (status,) = json.loads(await cluster.run(name, "etcdctl", "endpoint", "status", "--write-out=json"))
        if status["Status"]["leader"] == status["Status"]["header"]["member_id"]:
            return name
    raise AssertionError("etcd has no leader")
