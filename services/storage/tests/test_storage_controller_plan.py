"""What the controller decides, case by case."""

from collections.abc import Mapping
from typing import Any

import pytest

from dstk_cluster.choices import ADOPTED, Choice, nodes_of
from dstk_cluster.model import NodeInfo, NodeState, PartitionInfo
from dstk_cluster.settings import MIB, ControllerSettings, NodeWish, Wish
from dstk_keytypes import NodeId, PartitionId
from dstk_storage.adapters.world import World, node, partition
from dstk_storage.domain.controller.model import Action, Deed, Follower, Load, Situation, Step
from dstk_storage.domain.controller.planner import outlook, plan

NOW = 1_700_000_000_000
HOUR = 3_600_000
QUIET = Load(10 * MIB, 10_000, 10.0, 10.0, 10.0)
N1, N2, N3, N4 = (NodeId(f"n{number}") for number in range(1, 5))
P1, P2 = PartitionId(1), PartitionId(2)
FOUR = [node(f"n{number}") for number in range(1, 5)]


def situation(
    nodes: list[NodeInfo],
    partitions: list[PartitionInfo],
    loads: Mapping[int, Load] | None = None,
    settings: Mapping[str, Any] | None = None,
    **more: Any,
) -> Situation:
    known = {info.id: QUIET for info in partitions} if loads is None else loads
    world = World.of(nodes, partitions, known)
    wishes = {NodeId(name): wish for name, wish in more.pop("wishes", {}).items()}
    return Situation(world.map, NOW, ControllerSettings(**(settings or {})), loads=world.loads, wishes=wishes, **more)


def briefly(steps: list[Step]) -> list[tuple[str, int, str | None]]:
    return [(step.action, step.partition, step.node) for step in steps]


def chosen(state: Situation, action: str, partition: int = 1, subject: str | None = None, age: int = 0) -> Situation:
    made = Choice(PartitionId(partition), action, NOW - age, NodeId(subject) if subject else None, nodes_of(state.map))
    return with_(state, choices=(*state.choices, made))


def with_(state: Situation, **changes: Any) -> Situation:
    fields = {name: getattr(state, name) for name in Situation.__dataclass_fields__}
    return Situation(**{**fields, **changes})


def spread_over_four() -> list[PartitionInfo]:
    """Four partitions on four nodes, three replicas each, dealt round."""
    names = ["n1", "n2", "n3", "n4"]
    bounds: list[bytes | None] = [b"", b"b", b"c", b"d", None]
    return [partition(at + 1, (names * 2)[at : at + 3], start=bounds[at] or b"", end=bounds[at + 1]) for at in range(4)]


def test_a_cluster_in_order_needs_nothing() -> None:
    assert outlook(situation(FOUR, spread_over_four())).steps == ()


def test_without_a_map_there_is_nothing_to_decide() -> None:
    assert outlook(situation(FOUR, [])).steps == ()


# -- repair --------------------------------------------------------------------------------------------------------------


def test_too_few_replicas_get_another_on_the_emptiest_node() -> None:
    partitions = [partition(1, ["n1", "n2"], end=b"b"), partition(2, ["n1", "n2", "n3"], start=b"b")]
    step, *_ = plan(situation(FOUR, partitions))
    assert briefly([step]) == [("add_replica", 1, "n4")]
    assert "2 of 3 replicas" in step.reason


def test_a_zone_without_a_replica_comes_before_an_emptier_node() -> None:
    nodes = [node("n1", "a"), node("n2", "b"), node("n3", "a"), node("n4", "c")]
    partitions = [partition(1, ["n1", "n2"], end=b"b"), partition(2, ["n4", "n1", "n2"], start=b"b")]
    steps = plan(situation(nodes, partitions, {1: QUIET, 2: Load(200 * MIB, 10**6)}))
    assert briefly(steps)[:1] == [("add_replica", 1, "n4")]
    assert "zone 'c'" in steps[0].reason


@pytest.mark.parametrize(
    ("gone", "expected"), [(299.0, []), (300.0, [("add_replica", 1, "n4")]), (9999.0, [("add_replica", 1, "n4")])]
)
def test_a_node_counts_as_gone_only_after_a_while(gone: float, expected: list[object]) -> None:
    nodes = [node("n1"), node("n2"), node("n4")]
    state = situation(nodes, [partition(1, ["n1", "n2", "n3"], in_sync="n1 n2")], gone={N3: gone})
    assert briefly(plan(state)) == expected


def test_a_removed_node_counts_as_gone_at_once() -> None:
    nodes = [node("n1"), node("n2"), node("n4")]
    state = situation(
        nodes,
        [partition(1, ["n1", "n2", "n3"], in_sync="n1 n2")],
        gone={N3: 1.0},
        wishes={"n3": NodeWish(Wish.REMOVED)},
    )
    (step,) = plan(state)
    assert briefly([step]) == [("add_replica", 1, "n4")]
    assert "n3 is to be removed" in step.reason


def test_a_dead_replica_goes_when_enough_others_are_in_sync() -> None:
    nodes = [node("n1"), node("n2"), node("n4")]
    waiting = partition(1, ["n1", "n2", "n3", "n4"], in_sync="n1 n2")
    assert briefly(plan(situation(nodes, [waiting], gone={N3: 400.0}))) == []
    done = partition(1, ["n1", "n2", "n3", "n4"], in_sync="n1 n2 n4")
    (step,) = plan(situation(nodes, [done], gone={N3: 400.0}))
    assert briefly([step]) == [("remove_replica", 1, "n3")]
    assert "gone for 400 s, limit 300 s" in step.reason


def test_a_gone_node_keeps_its_place_while_nobody_can_take_it() -> None:
    state = situation([node("n1"), node("n2")], [partition(1, ["n1", "n2", "n3"], in_sync="n1 n2")], gone={N3: 1e6})
    assert plan(state) == []
    removed = with_(state, wishes={N3: NodeWish(Wish.REMOVED)})
    assert briefly(plan(removed)) == [("remove_replica", 1, "n3")]


def test_a_single_replica_whose_node_is_gone_is_found_and_left() -> None:
    outcome = outlook(situation([node("n1"), node("n2")], [partition(1, ["n3"])], gone={N3: 400.0}))
    assert outcome.steps == ()
    (finding,) = [found for found in outcome.findings if found.partition == 1]
    assert "only replica is on n3" in finding.reason
    assert "lose data" in finding.reason


def test_a_partition_without_a_living_primary_waits_for_its_failover() -> None:
    outcome = outlook(situation([node("n1"), node("n2")], [partition(1, ["n3", "n1", "n2"])], gone={N3: 400.0}))
    assert outcome.steps == ()


@pytest.mark.parametrize("wish", [Wish.CORDONED, Wish.DRAINED, Wish.REMOVED])
def test_nodes_that_are_not_wanted_get_nothing(wish: Wish) -> None:
    state = situation(FOUR[:3], [partition(1, ["n1", "n2"])], wishes={"n3": NodeWish(wish)})
    assert plan(state) == []


def test_nodes_that_start_or_are_read_only_get_nothing() -> None:
    nodes = [node("n1"), node("n2"), node("n3", state=NodeState.STARTING), node("n4")]
    assert plan(situation(nodes, [partition(1, ["n1", "n2"])], read_only=frozenset({N4}))) == []


def test_no_more_replicas_are_on_their_way_than_allowed() -> None:
    bounds = [b"", b"b", b"c", b"d", b"e"]
    partitions = [partition(at + 1, ["n1", "n2"], start=bounds[at], end=bounds[at + 1]) for at in range(4)]
    partitions.append(partition(5, ["n1", "n2", "n3"], start=b"e", in_sync="n1 n2"))
    steps = plan(situation(FOUR, partitions, settings={"moves_at_once": 3}))
    assert [step.action for step in steps if step.action == "add_replica"] == ["add_replica"] * 2
    under_way = (Step(Action.ADD_REPLICA, P1, "", node=N3),)
    rest = plan(situation(FOUR, partitions, settings={"moves_at_once": 3}, under_way=under_way))
    assert [step.partition for step in rest if step.action == "add_replica"] == [2]


def test_a_replica_that_its_primary_does_not_hear_takes_nobodys_turn() -> None:
    silent = Load(MIB, 10, followers={N3: Follower(0, 400.0, rebuilding=False)})
    partitions = [
        partition(1, ["n1", "n2", "n3"], end=b"b", in_sync="n1 n2"),
        partition(2, ["n2", "n1"], start=b"b"),
    ]
    state = situation(FOUR, partitions, {1: silent, 2: QUIET}, {"moves_at_once": 1})
    outcome = outlook(state)
    assert briefly(list(outcome.steps)) == [("add_replica", 2, "n4")]
    assert [found.node for found in outcome.findings] == ["n3"]


def test_an_attempt_that_rests_gives_way_to_the_next_best() -> None:
    state = situation(FOUR, [partition(1, ["n1", "n2"])])
    (first,) = plan(state)
    (second,) = plan(with_(state, resting=frozenset({first.attempt})))
    assert {first.node, second.node} == {"n3", "n4"}


# -- drain ---------------------------------------------------------------------------------------------------------------


def test_a_drained_node_is_emptied_without_a_moment_of_fewer_copies() -> None:
    world = World.of(FOUR, [partition(1, ["n1", "n2", "n3"])], {1: QUIET})
    wishes = {N1: NodeWish(Wish.DRAINED)}
    done = []
    for _ in range(4):
        for step in plan(Situation(world.map, NOW, loads=world.loads, wishes=wishes)):
            world.apply(step)
            done.append((step.action, step.node))
            assert len(world.partitions[P1].in_sync) >= 3
        world.catch_up()
    assert done == [("add_replica", "n4"), ("switch_primary", "n2"), ("remove_replica", "n1")]


def test_the_replacement_comes_first() -> None:
    nodes = [*FOUR, node("n5")]
    wishes = {"n1": NodeWish(Wish.DRAINED, NodeId("n5"))}
    (step,) = plan(situation(nodes, [partition(1, ["n1", "n2", "n3"])], wishes=wishes))
    assert briefly([step]) == [("add_replica", 1, "n5")]
    assert "replacement" in step.reason
    (switch,) = plan(situation(nodes, [partition(1, ["n1", "n2", "n3", "n5"])], wishes=wishes))
    assert briefly([switch]) == [("switch_primary", 1, "n5")]


def test_a_drained_node_goes_even_if_fewer_are_left_than_are_wanted() -> None:
    state = situation(FOUR[:3], [partition(1, ["n1", "n2", "n3"])], wishes={"n3": NodeWish(Wish.DRAINED)})
    assert briefly(plan(state)) == [("remove_replica", 1, "n3")]


def test_a_drain_with_nowhere_to_go_says_so() -> None:
    wishes = {f"n{number}": NodeWish(Wish.DRAINED) for number in range(1, 4)}
    outcome = outlook(situation(FOUR[:3], [partition(1, ["n1", "n2", "n3"])], wishes=wishes))
    assert outcome.steps == ()
    assert [found.partition for found in outcome.findings] == [0, 1]


# -- surplus -------------------------------------------------------------------------------------------------------------


def test_a_surplus_replica_goes_from_the_fullest_node_and_never_the_primary() -> None:
    partitions = [partition(1, ["n1", "n2", "n3", "n4"], end=b"b"), partition(2, ["n1", "n3", "n4"], start=b"b")]
    loads = {1: QUIET, 2: Load(100 * MIB, 10**5)}
    steps = plan(situation(FOUR, partitions, loads))
    assert briefly(steps)[:1] == [("remove_replica", 1, "n4")]


def test_nothing_is_removed_while_a_replica_is_not_in_sync() -> None:
    assert plan(situation(FOUR, [partition(1, ["n1", "n2", "n3", "n4"], in_sync="n1 n2 n3")])) == []


def test_a_cordoned_node_keeps_what_it_has() -> None:
    wishes = {"n2": NodeWish(Wish.CORDONED), "n3": NodeWish(Wish.CORDONED)}
    state = situation(FOUR, [partition(1, ["n1", "n2", "n3", "n4"])], wishes=wishes)
    assert briefly(plan(state)) == [("remove_replica", 1, "n4")]


# -- split and merge -----------------------------------------------------------------------------------------------------

BIG, BUSY = Load(257 * MIB, 10**6, 10.0, 10.0, 10.0), Load(50 * MIB, 10**5, 9e4, 3e4, 9e4)


def one(load: Load, **more: Any) -> Situation:
    return situation(FOUR[:3], [partition(1, ["n1", "n2", "n3"])], {1: load}, **more)


def test_a_large_partition_is_split() -> None:
    (step,) = plan(one(BIG))
    assert step == Step(Action.SPLIT, P1, "257.0 MiB are more than 256.0 MiB")


def test_a_busy_partition_is_split_by_load() -> None:
    (step,) = plan(one(BUSY))
    assert step.by_load
    assert step.reason == "30,000 operations a second are more than 20,000"


@pytest.mark.parametrize(
    "load",
    [
        Load(50 * MIB, 10**5, 9e4, 1e4, 9e4),  # a burst
        Load(50 * MIB, 10**5, 9e4, None, 9e4),  # one look only
        Load(MIB - 1, 10**5, 9e4, 9e4, 9e4),
        Load(50 * MIB, 999, 9e4, 9e4, 9e4),
        Load(300 * MIB, 1),
    ],
)
def test_bursts_and_hot_keys_split_nothing(load: Load) -> None:
    assert plan(one(load)) == []


def test_no_more_than_two_are_split_at_a_time() -> None:
    bounds: list[bytes | None] = [b"", b"b", b"c", b"d", None]
    partitions = [partition(at + 1, ["n1", "n2", "n3"], start=bounds[at] or b"", end=bounds[at + 1]) for at in range(4)]
    loads = {at: Load((300 + at) * MIB, 10**6) for at in range(1, 5)}
    state = situation(FOUR[:3], partitions, loads)
    assert [step.partition for step in plan(state) if step.action == "split"] == [4, 3]
    begun = with_(state, under_way=(Step(Action.SPLIT, PartitionId(4), ""),))
    assert [step.partition for step in plan(begun) if step.action == "split"] == [3]


def small(second: list[str] | None = None, loads: Mapping[int, Load] | None = None, **more: Any) -> Situation:
    partitions = [
        partition(1, ["n1", "n2", "n3"], end=b"b"),
        partition(2, second or ["n1", "n3", "n2"], start=b"b", end=b"c"),
        partition(3, ["n2", "n3", "n1"], start=b"c", end=b"d"),
        partition(4, ["n3", "n2", "n1"], start=b"d"),
    ]
    return situation(FOUR[:3], partitions, loads or dict.fromkeys(range(1, 5), QUIET), **more)


def merges(state: Situation) -> list[Step]:
    return [step for step in plan(state) if step.action == "merge"]


def test_small_neighbours_in_the_same_hands_are_merged() -> None:
    (step,) = merges(small())
    assert (step.partition, step.upper, step.at) == (1, 2, b"b")
    assert "20.0 MiB, less than 64.0 MiB" in step.reason


def test_what_is_not_alike_or_not_small_is_not_merged() -> None:
    busy = Load(MIB, 10, 10.0, 10.0, 4_990.0)
    assert merges(small(["n3", "n2", "n1"])) == []
    assert merges(small(loads={1: Load(60 * MIB, 9, 1.0, 1.0, 1.0), **dict.fromkeys((2, 3, 4), QUIET)})) == []
    assert merges(small(loads={1: busy, **dict.fromkeys((2, 3, 4), QUIET)})) == []
    assert merges(small(loads={1: Load(1, 1, 1.0, 1.0), **dict.fromkeys((2, 3, 4), QUIET)})) == [], "peak unknown"
    assert merges(small(loads={2: QUIET})) == []
    assert merges(small(settings={"merge_share": 0.0})) == []


def test_there_are_never_fewer_partitions_than_nodes() -> None:
    partitions = [partition(1, ["n1", "n2", "n3"], end=b"b"), partition(2, ["n1", "n2", "n3"], start=b"b")]
    assert merges(situation(FOUR[:3], partitions)) == []
    assert merges(situation([node("n1")], [partition(1, ["n1"], end=b"b"), partition(2, ["n1"], start=b"b")]))


def test_what_was_split_is_not_merged_soon_and_the_reverse() -> None:
    for ours in (Deed(Action.SPLIT, P1, NOW - 599_000, upper=P2), Deed(Action.SPLIT, P2, NOW - 599_000)):
        assert merges(with_(small(), deeds=(ours,))) == []
    assert merges(with_(small(), deeds=(Deed(Action.SPLIT, P1, NOW - 601_000, upper=P2),)))
    merged = Deed(Action.MERGE, P1, NOW - 599_000, upper=P2)
    assert plan(with_(one(BIG), deeds=(merged,))) == []
    assert plan(with_(one(BIG), deeds=(Deed(Action.MERGE, P1, NOW - 601_000),)))


# -- balance -------------------------------------------------------------------------------------------------------------


def test_primaries_are_spread_by_switching() -> None:
    bounds: list[bytes | None] = [b"", b"b", b"c", b"d", b"e", None]
    partitions = [partition(at + 1, ["n1", "n2", "n3"], start=bounds[at] or b"", end=bounds[at + 1]) for at in range(5)]
    steps = plan(situation(FOUR[:3], partitions, {at: Load(100 * MIB, 9) for at in range(1, 6)}))
    assert [step.action for step in steps] == ["switch_primary"] * 2
    assert {step.node for step in steps} == {"n2", "n3"}
    assert "n1 is the primary of 5 partitions" in steps[0].reason


def test_a_difference_of_one_is_left_alone() -> None:
    partitions = [partition(1, ["n1", "n2"], end=b"b"), partition(2, ["n2", "n1"], start=b"b", end=b"c")]
    partitions.append(partition(3, ["n1", "n2"], start=b"c"))
    assert plan(situation(FOUR[:2], partitions, {at: Load(100 * MIB, 9) for at in range(1, 4)})) == []


def crowded(**more: Any) -> Situation:
    """A fourth node has come, and is empty."""
    names = ["n1", "n2", "n3"]
    bounds = [bytes([97 + at]) if at else b"" for at in range(12)] + [None]
    partitions = [
        partition(at + 1, (names[at % 3 :] + names)[:3], start=bounds[at] or b"", end=bounds[at + 1])
        for at in range(12)
    ]
    return situation(FOUR, partitions, {at: Load(100 * MIB, 10**5) for at in range(1, 13)}, **more)


def test_an_empty_node_gets_its_share_in_exchange_for_others_replicas() -> None:
    steps = plan(crowded())
    assert [(step.action, step.node) for step in steps] == [("add_replica", "n4")] * 2
    assert all(step.replaces is not None for step in steps)
    assert "n4 0 B" in steps[0].reason


def test_balance_waits_for_a_node_that_may_come_back() -> None:
    outcome = outlook(crowded(gone={NodeId("n5"): 5.0}))
    assert outcome.steps == ()
    assert "waits for n5" in outcome.findings[0].reason
    assert plan(crowded(gone={NodeId("n5"): 301.0}))


def test_bytes_that_are_not_known_are_not_moved() -> None:
    state = crowded()
    assert plan(with_(state, loads={p: load for p, load in state.loads.items() if p != 5})) == []


def test_what_moved_lately_is_not_moved_again() -> None:
    state = crowded()
    deeds = tuple(Deed(Action.REMOVE_REPLICA, PartitionId(at), NOW - 299_000, N4) for at in range(1, 13))
    assert plan(with_(state, deeds=deeds)) == []
    assert plan(with_(state, now_ms=NOW + 2_000, deeds=deeds))


def test_busy_primaries_are_spread_where_counts_allow() -> None:
    partitions = [partition(1, ["n1", "n2"], end=b"b"), partition(2, ["n1", "n2"], start=b"b", end=b"c")]
    partitions.append(partition(3, ["n2", "n1"], start=b"c"))
    busy = Load(50 * MIB, 10**5, 9_000.0, 9_000.0, 9_000.0)
    (step,) = plan(situation(FOUR[:2], partitions, {1: busy, 2: busy, 3: Load(50 * MIB, 10**5, 0.0, 0.0, 0.0)}))
    assert briefly([step]) == [("switch_primary", 1, "n2")]
    assert "18,000 operations" in step.reason


def test_replicas_are_spread_over_zones() -> None:
    nodes = [node("n1", "a"), node("n2", "a"), node("n3", "b")]
    state = situation(nodes, [partition(1, ["n1", "n2"])], settings={"replicas": 2})
    (step,) = plan(state)
    assert (step.action, step.node, step.replaces) == ("add_replica", "n3", "n2")
    assert "zone 'a' has two" in step.reason


def test_a_moved_primary_is_handed_over_before_its_replica_goes() -> None:
    bounds: list[bytes | None] = [b"", b"b", b"c", b"d", None]
    infos = [partition(at + 1, ["n1"], start=bounds[at] or b"", end=bounds[at + 1]) for at in range(4)]
    world = World.of(FOUR[:2], infos, {at: Load(100 * MIB, 10**5) for at in range(1, 5)})
    settings, deeds, seen = ControllerSettings(replicas=1, moves_at_once=1), [], []
    for round_ in range(8):
        now = NOW + round_ * HOUR
        state = Situation(world.map, now, settings, loads=world.loads, deeds=tuple(deeds))
        for step in plan(state):
            world.apply(step)
            deeds.append(Deed(step.action, step.partition, now, step.node, replaces=step.replaces))
            seen.append((step.partition, step.action, step.node))
        world.catch_up()
    one_move = [("add_replica", "n2"), ("switch_primary", "n2"), ("remove_replica", "n1")]
    for moved in (P1, P2):
        assert [(action, name) for number, action, name in seen if number == moved] == one_move
    assert len(seen) == 6


# -- what operators chose ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", ["split", "add_replica", "switch_primary", ADOPTED])
def test_what_an_operator_touched_is_not_merged(action: str) -> None:
    assert merges(chosen(small(), action, 2, age=23 * HOUR)) == []
    assert merges(chosen(small(), action, 2, age=25 * HOUR))


def test_what_an_operator_merged_is_not_split() -> None:
    assert plan(chosen(one(BIG), "merge", age=23 * HOUR)) == []
    assert plan(chosen(one(BIG), "merge", age=25 * HOUR))


@pytest.mark.parametrize("action", ["split", "merge", "add_replica", "remove_replica", "switch_primary"])
def test_balance_leaves_operators_choices_alone_until_nodes_change(action: str) -> None:
    state = crowded()
    for number in range(1, 13):
        state = chosen(state, action, number)
    assert plan(state) == []
    grown = World.of([*FOUR, node("n5")], list(state.map.partitions), {})
    assert plan(with_(state, map=grown.map))


def test_a_node_that_restarts_is_no_change_of_nodes() -> None:
    state = chosen(situation(FOUR, [partition(1, ["n1", "n2", "n3", "n4"])]), "add_replica", 1, "n4")
    assert plan(state) == [], "the operator's fourth replica stays"
    without = World.of(FOUR[:3], [partition(1, ["n1", "n2", "n3", "n4"])], {1: QUIET})
    assert plan(with_(state, map=without.map, gone={N4: 10.0})) == []
    assert plan(with_(state, choices=()))


def test_a_boundary_that_an_operator_drew_stays_when_nodes_come() -> None:
    state = chosen(small(), "split", 2)
    grown = World.of([*FOUR[:3], node("n4")], list(state.map.partitions), {})
    assert merges(with_(state, map=grown.map)) == []


def test_the_first_boundaries_of_a_cluster_do_not_keep_balance_from_it() -> None:
    state = crowded()
    for number in range(1, 13):
        state = chosen(state, ADOPTED, number)
    assert plan(state)


def test_repair_prefers_another_node_than_the_one_an_operator_emptied() -> None:
    state = chosen(situation(FOUR, [partition(1, ["n1", "n2"])]), "remove_replica", 1, "n3")
    assert briefly(plan(state)) == [("add_replica", 1, "n4")]
    only = situation(FOUR[:3], [partition(1, ["n1", "n2"])])
    assert briefly(plan(chosen(only, "remove_replica", 1, "n3"))) == [("add_replica", 1, "n3")]
