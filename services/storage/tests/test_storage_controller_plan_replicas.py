"""What the controller decides on replicas that are missing, unwanted or too many, case by case."""

import pytest
from kit.map_entries import node_info, partition_info
from kit.situations import FOUR, N1, N3, N4, NOW, P1, QUIET, briefly, chosen, plan, situation, with_

from dstk_cluster.model import NodeState, PartitionInfo
from dstk_cluster.settings import DesiredState, NodeSpec
from dstk_keytypes import NodeId
from dstk_service.controller_settings import MIB
from dstk_storage.adapters.memory_cluster import MemoryCluster
from dstk_storage.domain.controller.model import Action, Load, Situation, Step
from dstk_storage.domain.controller.planner import make_plan


def spread_over_four() -> list[PartitionInfo]:
    """Four partitions on four nodes, three replicas each, dealt round."""
    names = ["n1", "n2", "n3", "n4"]
    bounds: list[bytes | None] = [b"", b"b", b"c", b"d", None]
    return [
        partition_info(at + 1, (names * 2)[at : at + 3], start=bounds[at] or b"", end=bounds[at + 1]) for at in range(4)
    ]


def test_a_cluster_in_order_needs_nothing() -> None:
    assert make_plan(situation(FOUR, spread_over_four())).steps == ()


def test_without_a_map_there_is_nothing_to_decide() -> None:
    assert make_plan(situation(FOUR, [])).steps == ()


# -- repair --------------------------------------------------------------------------------------------------------------


def test_too_few_replicas_get_another_on_the_emptiest_node() -> None:
    partitions = [partition_info(1, ["n1", "n2"], end=b"b"), partition_info(2, ["n1", "n2", "n3"], start=b"b")]
    step, *_ = plan(situation(FOUR, partitions))
    assert briefly([step]) == [("add_replica", 1, "n4")]
    assert "2 of 3 replicas" in step.reason


def test_a_zone_without_a_replica_comes_before_an_emptier_node() -> None:
    nodes = [node_info("n1", "a"), node_info("n2", "b"), node_info("n3", "a"), node_info("n4", "c")]
    partitions = [partition_info(1, ["n1", "n2"], end=b"b"), partition_info(2, ["n4", "n1", "n2"], start=b"b")]
    steps = plan(situation(nodes, partitions, {1: QUIET, 2: Load(200 * MIB, 10**6)}))
    assert briefly(steps)[:1] == [("add_replica", 1, "n4")]
    assert "zone 'c'" in steps[0].reason


@pytest.mark.parametrize(
    ("gone", "expected"), [(299.0, []), (300.0, [("add_replica", 1, "n4")]), (9999.0, [("add_replica", 1, "n4")])]
)
def test_a_node_counts_as_gone_only_after_a_while(gone: float, expected: list[object]) -> None:
    nodes = [node_info("n1"), node_info("n2"), node_info("n4")]
    state = situation(nodes, [partition_info(1, ["n1", "n2", "n3"], in_sync=["n1", "n2"])], gone={N3: gone})
    assert briefly(plan(state)) == expected


def test_a_removed_node_counts_as_gone_at_once() -> None:
    nodes = [node_info("n1"), node_info("n2"), node_info("n4")]
    state = situation(
        nodes,
        [partition_info(1, ["n1", "n2", "n3"], in_sync=["n1", "n2"])],
        gone={N3: 1.0},
        specs={"n3": NodeSpec(DesiredState.REMOVED)},
    )
    (step,) = plan(state)
    assert briefly([step]) == [("add_replica", 1, "n4")]
    assert "the desired state of n3 is removed" in step.reason


def test_a_dead_replica_goes_when_enough_others_are_in_sync() -> None:
    nodes = [node_info("n1"), node_info("n2"), node_info("n4")]
    waiting = partition_info(1, ["n1", "n2", "n3", "n4"], in_sync=["n1", "n2"])
    assert briefly(plan(situation(nodes, [waiting], gone={N3: 400.0}))) == []
    done = partition_info(1, ["n1", "n2", "n3", "n4"], in_sync=["n1", "n2", "n4"])
    (step,) = plan(situation(nodes, [done], gone={N3: 400.0}))
    assert briefly([step]) == [("remove_replica", 1, "n3")]
    assert "gone for 400 s (limit 300 s)" in step.reason


def test_a_gone_node_keeps_its_place_while_nobody_can_take_it() -> None:
    state = situation(
        [node_info("n1"), node_info("n2")],
        [partition_info(1, ["n1", "n2", "n3"], in_sync=["n1", "n2"])],
        gone={N3: 1e6},
    )
    assert plan(state) == []
    removed = with_(state, specs={N3: NodeSpec(DesiredState.REMOVED)})
    assert briefly(plan(removed)) == [("remove_replica", 1, "n3")]


def test_a_single_replica_whose_node_is_gone_is_found_and_left() -> None:
    outcome = make_plan(situation([node_info("n1"), node_info("n2")], [partition_info(1, ["n3"])], gone={N3: 400.0}))
    assert outcome.steps == ()
    (finding,) = [found for found in outcome.findings if found.partition == 1]
    assert "only replica is on n3" in finding.reason
    assert "lose data" in finding.reason


def test_a_partition_without_a_living_primary_waits_for_its_failover() -> None:
    outcome = make_plan(situation(FOUR[:2], [partition_info(1, ["n3", "n1", "n2"])], gone={N3: 400.0}))
    assert outcome.steps == ()


@pytest.mark.parametrize("desired", [DesiredState.CORDONED, DesiredState.DRAINED, DesiredState.REMOVED])
def test_nodes_that_are_not_wanted_get_nothing(desired: DesiredState) -> None:
    state = situation(FOUR[:3], [partition_info(1, ["n1", "n2"])], specs={"n3": NodeSpec(desired)})
    assert plan(state) == []


def test_nodes_that_start_or_are_read_only_get_nothing() -> None:
    nodes = [node_info("n1"), node_info("n2"), node_info("n3", state=NodeState.STARTING), node_info("n4")]
    assert plan(situation(nodes, [partition_info(1, ["n1", "n2"])], read_only=frozenset({N4}))) == []


def test_no_more_replicas_are_on_their_way_than_allowed() -> None:
    bounds = [b"", b"b", b"c", b"d", b"e"]
    partitions = [partition_info(at + 1, ["n1", "n2"], start=bounds[at], end=bounds[at + 1]) for at in range(4)]
    partitions.append(partition_info(5, ["n1", "n2", "n3"], start=b"e", in_sync=["n1", "n2"]))
    steps = plan(situation(FOUR, partitions, settings={"moves_at_once": 3}))
    assert [step.action for step in steps if step.action == "add_replica"] == ["add_replica"] * 2
    under_way = (Step(Action.ADD_REPLICA, P1, "", node=N3),)
    rest = plan(situation(FOUR, partitions, settings={"moves_at_once": 3}, running=under_way))
    assert [step.partition for step in rest if step.action == "add_replica"] == [2]


def test_a_replica_that_its_primary_does_not_hear_takes_nobodys_turn() -> None:
    silent = Load(MIB, 10, silent={N3: 400.0})
    partitions = [
        partition_info(1, ["n1", "n2", "n3"], end=b"b", in_sync=["n1", "n2"]),
        partition_info(2, ["n2", "n1"], start=b"b"),
    ]
    state = situation(FOUR, partitions, {1: silent, 2: QUIET}, {"moves_at_once": 1})
    outcome = make_plan(state)
    assert briefly(list(outcome.steps)) == [("add_replica", 2, "n4")]
    assert [found.node for found in outcome.findings] == ["n3"]


def test_an_attempt_that_rests_gives_way_to_the_next_best() -> None:
    state = situation(FOUR, [partition_info(1, ["n1", "n2"])])
    (first,) = plan(state)
    (second,) = plan(with_(state, backing_off=frozenset({first.attempt})))
    assert {first.node, second.node} == {"n3", "n4"}


# -- drain ---------------------------------------------------------------------------------------------------------------


def test_a_drained_node_is_emptied_without_a_moment_of_fewer_copies() -> None:
    cluster = MemoryCluster.of(FOUR, [partition_info(1, ["n1", "n2", "n3"])], {1: QUIET})
    specs = {N1: NodeSpec(DesiredState.DRAINED)}
    done = []
    for _ in range(4):
        for step in plan(Situation(cluster.map, NOW, loads=cluster.loads, specs=specs)):
            cluster.apply(step)
            done.append((step.action, step.node))
            assert len(cluster.partitions[P1].in_sync) >= 3
        cluster.catch_up()
    assert done == [("add_replica", "n4"), ("transfer_primary", "n2"), ("remove_replica", "n1")]


def test_the_replacement_comes_first() -> None:
    nodes = [*FOUR, node_info("n5")]
    specs = {"n1": NodeSpec(DesiredState.DRAINED, NodeId("n5"))}
    (step,) = plan(situation(nodes, [partition_info(1, ["n1", "n2", "n3"])], specs=specs))
    assert briefly([step]) == [("add_replica", 1, "n5")]
    assert "replacement" in step.reason
    (transfer,) = plan(situation(nodes, [partition_info(1, ["n1", "n2", "n3", "n5"])], specs=specs))
    assert briefly([transfer]) == [("transfer_primary", 1, "n5")]


def test_a_drained_node_goes_even_if_fewer_are_left_than_are_wanted() -> None:
    state = situation(FOUR[:3], [partition_info(1, ["n1", "n2", "n3"])], specs={"n3": NodeSpec(DesiredState.DRAINED)})
    assert briefly(plan(state)) == [("remove_replica", 1, "n3")]


def test_a_drain_with_nowhere_to_go_says_so() -> None:
    specs = {f"n{number}": NodeSpec(DesiredState.DRAINED) for number in range(1, 4)}
    outcome = make_plan(situation(FOUR[:3], [partition_info(1, ["n1", "n2", "n3"])], specs=specs))
    assert outcome.steps == ()
    assert [found.partition for found in outcome.findings] == [0, 1]


# -- surplus -------------------------------------------------------------------------------------------------------------


def test_a_surplus_replica_goes_from_the_fullest_node_and_never_the_primary() -> None:
    partitions = [
        partition_info(1, ["n1", "n2", "n3", "n4"], end=b"b"),
        partition_info(2, ["n1", "n3", "n4"], start=b"b"),
    ]
    loads = {1: QUIET, 2: Load(100 * MIB, 10**5)}
    steps = plan(situation(FOUR, partitions, loads))
    assert briefly(steps)[:1] == [("remove_replica", 1, "n4")]


def test_nothing_is_removed_while_a_replica_is_not_in_sync() -> None:
    assert plan(situation(FOUR, [partition_info(1, ["n1", "n2", "n3", "n4"], in_sync=["n1", "n2", "n3"])])) == []


def test_a_cordoned_node_keeps_what_it_has() -> None:
    specs = {"n2": NodeSpec(DesiredState.CORDONED), "n3": NodeSpec(DesiredState.CORDONED)}
    state = situation(FOUR, [partition_info(1, ["n1", "n2", "n3", "n4"])], specs=specs)
    assert briefly(plan(state)) == [("remove_replica", 1, "n4")]


# -- what operators chose ------------------------------------------------------------------------------------------------


def test_a_node_that_restarts_is_no_change_of_nodes() -> None:
    state = chosen(situation(FOUR, [partition_info(1, ["n1", "n2", "n3", "n4"])]), "add_replica", 1, "n4")
    assert plan(state) == [], "the operator's fourth replica stays"
    without = MemoryCluster.of(FOUR[:3], [partition_info(1, ["n1", "n2", "n3", "n4"])], {1: QUIET})
    assert plan(with_(state, map=without.map, gone={N4: 10.0})) == []
    assert plan(with_(state, overrides=()))


def test_repair_prefers_another_node_than_the_one_an_operator_emptied() -> None:
    state = chosen(situation(FOUR, [partition_info(1, ["n1", "n2"])]), "remove_replica", 1, "n3")
    assert briefly(plan(state)) == [("add_replica", 1, "n4")]
    only = situation(FOUR[:3], [partition_info(1, ["n1", "n2"])])
    assert briefly(plan(chosen(only, "remove_replica", 1, "n3"))) == [("add_replica", 1, "n3")]
