"""Two faults at once, and faults of the node that is the controller, under load."""

import pytest
from kit.process_cluster import ProcessCluster

from dstk_service.testing import eventually
from faults.attempts import failures, summary
from faults.scenario import CALL_SECONDS, Scenario, under_load

pytestmark = pytest.mark.slow

DEADLINE = CALL_SECONDS * 0.8
"""A router answers a little before its caller gives up."""


async def test_a_node_is_killed_while_a_follower_hangs(cluster: ProcessCluster) -> None:
    """One node of three is left. It keeps its own partitions and takes over those of the dead nodes."""
    async with under_load(cluster, "killed-and-hung") as scenario:
        hung = await scenario.follower_of_all()
        killed = await scenario.some_primary()
        cluster.pause(hung)
        cluster.kill(killed)
        await scenario.calls_are_answered()
        cluster.resume(hung)
        await cluster.start(killed)


async def test_a_follower_is_killed_while_etcd_is_away_and_writes_wait_for_it(cluster: ProcessCluster) -> None:
    """Without etcd the follower cannot be evicted. Writes are neither lost nor refused before their deadlines."""
    async with under_load(cluster, "follower-and-etcd") as scenario:
        victim = await scenario.follower_of_all()
        begun = scenario.now()
        cluster.kill("etcd")
        cluster.kill(victim)
        killed = scenario.now()
        await scenario.runs_for(2.0)
        late = [a for a in scenario.load.attempts if a.is_write and a.called > killed + 0.5 and a.error is None]
        assert not late, "a write was answered without a replica that is in sync"
        await cluster.start("etcd")
        await scenario.calls_are_answered()
        await cluster.start(victim)
        failed = [a for a in failures(scenario.load.attempts) if a.called >= begun and a.returned - a.called < DEADLINE]
        assert not failed, summary(failed)


async def test_all_nodes_are_killed_while_etcd_is_away(cluster: ProcessCluster) -> None:
    async with under_load(cluster, "everything-killed") as scenario:
        cluster.kill("etcd", *cluster.names)
        await cluster.start("etcd")
        for name in cluster.names:
            cluster.launch(name)
        for name in cluster.names:
            await cluster.serving(name)
        await scenario.calls_are_answered()


async def test_a_controller_that_is_killed_has_a_successor(cluster: ProcessCluster) -> None:
    async with under_load(cluster, "killed-controller") as scenario:
        victim = await controller_other_than(scenario)
        cluster.kill(victim)
        await scenario.calls_are_answered()
        await controller_other_than(scenario, victim)
        await cluster.start(victim)


async def test_a_controller_that_hangs_has_a_successor_and_does_no_harm_when_it_goes_on(
    cluster: ProcessCluster,
) -> None:
    async with under_load(cluster, "hung-controller") as scenario:
        victim = await controller_other_than(scenario)
        cluster.pause(victim)
        await scenario.calls_are_answered()
        await controller_other_than(scenario, victim)
        cluster.resume(victim)
        await scenario.operator.healed()
        await controller_other_than(scenario, victim)


async def controller_other_than(scenario: Scenario, node: str = "") -> str:
    """Waits until some other node is the controller."""

    async def there_is() -> bool:
        return await scenario.operator.controller() not in ("", node)

    await eventually(there_is)
    return await scenario.operator.controller()
