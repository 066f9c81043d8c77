"""The controller's way to the nodes, over real gRPC; nodes hold a map in memory."""

import pytest
from kit.admin_nodes import FixedMap, admin_nodes, two_partitions

from dstk_keytypes import NodeId, PartitionId
from dstk_storage.adapters.loads_reader import AdminClusterReader
from dstk_storage.adapters.step_executor import AdminExecutor
from dstk_storage.domain.controller.model import Action, Step
from dstk_storage.domain.controller.ports import StepFailed

N1, N2, N3 = (NodeId(f"n{number}") for number in range(1, 4))
P1, P2 = PartitionId(1), PartitionId(2)


async def test_all_nodes_are_looked_at_and_those_that_do_not_answer_tell_nothing() -> None:
    async with admin_nodes(two_partitions()) as here:
        here.cluster.read_only = frozenset({N3})
        seen = await here.reader.sample()
        assert seen.read_only == {N3}
        assert {number: (f.node, f.bytes, f.records, f.operations) for number, f in seen.partitions.items()} == {
            1: (N1, 10, 2, 7),
            2: (N2, 20, 3, 7),
        }
        assert seen.partitions[P1].silent == {N2: 1.5}
        await here.servers[1].stop(0)
        assert set((await here.reader.sample()).partitions) == {P1}


async def test_a_partition_that_has_not_changed_is_not_reported_again() -> None:
    async with admin_nodes(two_partitions()) as here:
        first = (await here.reader.sample()).partitions
        here.cluster.counters[P2] = 8
        second = (await here.reader.sample()).partitions
        assert second[P1] is first[P1]
        assert second[P2].operations == 8
        here.cluster.apply(Step(Action.TRANSFER_PRIMARY, P1, "", node=N2))
        assert {number: each.node for number, each in (await here.reader.sample()).partitions.items()} == {1: N2, 2: N2}
        here.cluster.apply(Step(Action.TRANSFER_PRIMARY, P1, "", node=N1))
        assert {number: each.node for number, each in (await here.reader.sample()).partitions.items()} == {1: N1, 2: N2}


async def test_figures_of_another_range_than_the_maps_are_left_out() -> None:
    async with admin_nodes(two_partitions()) as here:
        stale = here.cluster.map
        here.cluster.apply(Step(Action.SPLIT, P1, ""))
        old = AdminClusterReader(FixedMap(stale), here.links)
        assert set((await old.sample()).partitions) == {P2}


async def test_every_step_is_made_at_the_primary_and_is_no_operators() -> None:
    async with admin_nodes(two_partitions()) as here:
        done = await here.executor.execute(Step(Action.SPLIT, P1, "", by_load=True))
        assert done.upper == 3
        assert here.cluster.executed[-1].by_load
        lower, upper = here.cluster.partitions[P1], here.cluster.partitions[PartitionId(3)]
        merge = Step(Action.MERGE, lower.id, "", at=upper.range.start, upper=upper.id)
        assert (await here.executor.execute(merge)).upper == 3
        await here.executor.execute(Step(Action.TRANSFER_PRIMARY, P1, "", node=N3))
        await here.executor.execute(Step(Action.REMOVE_REPLICA, P1, "", node=N1))
        await here.executor.execute(Step(Action.ADD_REPLICA, P1, "", node=N1))
        assert here.cluster.partitions[P1].replicas == ("n2", "n3", "n1")
        assert await here.log.newest() == []
        assert await here.overrides.load() == ()


async def test_a_refused_step_has_failed_and_says_why() -> None:
    async with admin_nodes(two_partitions()) as here:
        stale = here.cluster.map
        here.cluster.apply(Step(Action.TRANSFER_PRIMARY, P1, "", node=N2))
        executor = AdminExecutor(FixedMap(stale), here.links)
        with pytest.raises(StepFailed, match="PRECONDITION_FAILED: n1 is not the primary"):
            await executor.execute(Step(Action.TRANSFER_PRIMARY, P1, "", node=N3))
        with pytest.raises(StepFailed, match="no partition 77"):
            await executor.execute(Step(Action.SPLIT, PartitionId(77), ""))
        del here.cluster.nodes[N2]
        with pytest.raises(StepFailed, match="n2, the primary, is not alive"):
            await here.executor.execute(Step(Action.SPLIT, P2, ""))
        await here.servers[0].stop(0)
        with pytest.raises(StepFailed, match=r"NOT_SERVING: not serving: node .n1. cannot be reached"):
            await executor.execute(Step(Action.SPLIT, P1, ""))
