"""Two faults at once, and faults of the node that is the controller, under load."""

import pytest
from kit.process_cluster import ProcessCluster

from dstk_service.testing import eventually
from faults.stage import Stage, under_load

pytestmark = pytest.mark.slow

ELECTION_SECONDS = 30.0
"""What a test allows for a new controller: the lease of the old one must run out, on a busy machine."""


async def test_a_node_is_killed_while_a_follower_hangs(cluster: ProcessCluster) -> None:
    """One node of three is left. It goes on alone with what it led; what the dead one led it takes over."""
    async with under_load(cluster, "killed-and-hung") as stage:
        hung = await stage.follower_of_all()
        killed = await stage.primary_of_some()
        cluster.pause(hung)
        cluster.kill(killed)
        await stage.calls_are_answered(within=15)
        cluster.resume(hung)
        await cluster.start(killed)


async def test_a_follower_is_killed_while_etcd_is_away_and_writes_wait_for_it(cluster: ProcessCluster) -> None:
    """Nobody may let it go without etcd. Its writes are neither lost nor refused before their callers' time is up."""
    async with under_load(cluster, "follower-and-etcd") as stage:
        victim = await stage.follower_of_all()
        begun = stage.now()
        cluster.kill("etcd")
        cluster.kill(victim)
        await stage.goes_on_for(2.0)
        late = [a for a in stage.load.attempts if a.is_write and a.called > begun + 0.5 and a.error is None]
        assert not late, "a write was answered without a replica that is in sync"
        await cluster.start("etcd")
        await stage.calls_are_answered(within=15)
        await cluster.start(victim)
        stage.nothing_failed(since=begun)


async def test_all_nodes_are_killed_while_etcd_is_away(cluster: ProcessCluster) -> None:
    async with under_load(cluster, "everything-killed") as stage:
        cluster.kill("etcd", *cluster.names)
        await cluster.start("etcd")
        for name in cluster.names:
            cluster.launch(name)
        for name in cluster.names:
            await cluster.serving(name)
        await stage.calls_are_answered(within=15)


async def test_a_controller_that_is_killed_has_a_successor(cluster: ProcessCluster) -> None:
    async with under_load(cluster, "killed-controller") as stage:
        victim = await controller_other_than(stage)
        cluster.kill(victim)
        await stage.calls_are_answered()
        await controller_other_than(stage, victim)
        await cluster.start(victim)


async def test_a_controller_that_hangs_has_a_successor_and_does_no_harm_when_it_goes_on(
    cluster: ProcessCluster,
) -> None:
    async with under_load(cluster, "hung-controller") as stage:
        victim = await controller_other_than(stage)
        cluster.pause(victim)
        await stage.calls_are_answered()
        successor = await controller_other_than(stage, victim)
        cluster.resume(victim)
        await stage.operator.healed()
        assert await stage.operator.controller() == successor


async def controller_other_than(stage: Stage, node: str = "") -> str:
    """Waits until some other node is the controller."""

    async def there_is() -> bool:
        return await stage.operator.controller() not in ("", node)

    await eventually(there_is, within=ELECTION_SECONDS)
    return await stage.operator.controller()
