"""How the controller spreads primaries and replicas over the nodes, case by case."""

from typing import Any

import pytest
from kit.map_entries import node_info, partition_info
from kit.situations import FOUR, HOUR, N4, NOW, P1, P2, briefly, chosen, plan, situation, with_

from dstk_cluster.overrides import ADOPTED
from dstk_keytypes import NodeId, PartitionId
from dstk_service.controller_settings import MIB, ControllerSettings
from dstk_storage.adapters.memory_cluster import MemoryCluster
from dstk_storage.domain.controller.model import Action, ActionRecord, Load, Situation
from dstk_storage.domain.controller.planner import make_plan


def test_primaries_are_spread_by_switching() -> None:
    bounds: list[bytes | None] = [b"", b"b", b"c", b"d", b"e", None]
    partitions = [
        partition_info(at + 1, ["n1", "n2", "n3"], start=bounds[at] or b"", end=bounds[at + 1]) for at in range(5)
    ]
    steps = plan(situation(FOUR[:3], partitions, {at: Load(100 * MIB, 9) for at in range(1, 6)}))
    assert [step.action for step in steps] == ["transfer_primary"] * 2
    assert {step.node for step in steps} == {"n2", "n3"}
    assert "n1 is the primary of 5 partitions" in steps[0].reason


def test_a_difference_of_one_is_left_alone() -> None:
    partitions = [partition_info(1, ["n1", "n2"], end=b"b"), partition_info(2, ["n2", "n1"], start=b"b", end=b"c")]
    partitions.append(partition_info(3, ["n1", "n2"], start=b"c"))
    assert plan(situation(FOUR[:2], partitions, {at: Load(100 * MIB, 9) for at in range(1, 4)})) == []


def crowded(**more: Any) -> Situation:
    """A fourth node has come, and is empty."""
    names = ["n1", "n2", "n3"]
    bounds = [bytes([97 + at]) if at else b"" for at in range(12)] + [None]
    partitions = [
        partition_info(at + 1, (names[at % 3 :] + names)[:3], start=bounds[at] or b"", end=bounds[at + 1])
        for at in range(12)
    ]
    return situation(FOUR, partitions, {at: Load(100 * MIB, 10**5) for at in range(1, 13)}, **more)


def test_an_empty_node_gets_its_share_in_exchange_for_others_replicas() -> None:
    steps = plan(crowded())
    assert [(step.action, step.node) for step in steps] == [("add_replica", "n4")] * 2
    assert all(step.replaces is not None for step in steps)
    assert "n4 holds 0 B" in steps[0].reason


def test_balance_waits_for_a_node_that_may_come_back() -> None:
    outcome = make_plan(crowded(gone={NodeId("n5"): 5.0}))
    assert outcome.steps == ()
    assert "waits for n5" in outcome.findings[0].reason
    assert plan(crowded(gone={NodeId("n5"): 301.0}))


def test_bytes_that_are_not_known_are_not_moved() -> None:
    state = crowded()
    assert plan(with_(state, loads={p: load for p, load in state.loads.items() if p != 5})) == []


def test_what_moved_recently_is_not_moved_again() -> None:
    state = crowded()
    records = tuple(ActionRecord(Action.REMOVE_REPLICA, PartitionId(at), NOW - 299_000, N4) for at in range(1, 13))
    assert plan(with_(state, records=records)) == []
    assert plan(with_(state, now_ms=NOW + 2_000, records=records))


def test_busy_primaries_are_spread_where_counts_allow() -> None:
    partitions = [partition_info(1, ["n1", "n2"], end=b"b"), partition_info(2, ["n1", "n2"], start=b"b", end=b"c")]
    partitions.append(partition_info(3, ["n2", "n1"], start=b"c"))
    busy = Load(50 * MIB, 10**5, 9_000.0, 9_000.0, 9_000.0)
    (step,) = plan(situation(FOUR[:2], partitions, {1: busy, 2: busy, 3: Load(50 * MIB, 10**5, 0.0, 0.0, 0.0)}))
    assert briefly([step]) == [("transfer_primary", 1, "n2")]
    assert "18,000 operations" in step.reason


def test_replicas_are_spread_over_zones() -> None:
    nodes = [node_info("n1", "a"), node_info("n2", "a"), node_info("n3", "b")]
    state = situation(nodes, [partition_info(1, ["n1", "n2"])], settings={"replicas": 2})
    (step,) = plan(state)
    assert (step.action, step.node, step.replaces) == ("add_replica", "n3", "n2")
    assert "zone 'a' has two" in step.reason


def test_a_moved_primary_is_handed_over_before_its_replica_goes() -> None:
    bounds: list[bytes | None] = [b"", b"b", b"c", b"d", None]
    infos = [partition_info(at + 1, ["n1"], start=bounds[at] or b"", end=bounds[at + 1]) for at in range(4)]
    cluster = MemoryCluster.of(FOUR[:2], infos, {at: Load(100 * MIB, 10**5) for at in range(1, 5)})
    settings, records, seen = ControllerSettings(replicas=1, moves_at_once=1), [], []
    for round_ in range(8):
        now = NOW + round_ * HOUR
        state = Situation(cluster.map, now, settings, loads=cluster.loads, records=tuple(records))
        for step in plan(state):
            cluster.apply(step)
            records.append(ActionRecord(step.action, step.partition, now, step.node, replaces=step.replaces))
            seen.append((step.partition, step.action, step.node))
        cluster.catch_up()
    one_move = [("add_replica", "n2"), ("transfer_primary", "n2"), ("remove_replica", "n1")]
    for moved in (P1, P2):
        assert [(action, name) for number, action, name in seen if number == moved] == one_move
    assert len(seen) == 6


# -- what operators chose ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", ["split", "merge", "add_replica", "remove_replica", "transfer_primary"])
def test_balance_leaves_overrides_alone_until_nodes_change(action: str) -> None:
    state = crowded()
    for number in range(1, 13):
        state = chosen(state, action, number)
    assert plan(state) == []
    grown = MemoryCluster.of([*FOUR, node_info("n5")], list(state.map.partitions), {})
    assert plan(with_(state, map=grown.map))


def test_the_first_boundaries_of_a_cluster_do_not_keep_balance_from_it() -> None:
    state = crowded()
    for number in range(1, 13):
        state = chosen(state, ADOPTED, number)
    assert plan(state)
