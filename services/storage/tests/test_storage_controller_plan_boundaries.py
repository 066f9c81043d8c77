"""What the controller splits and merges, and what it does not, case by case."""

from collections.abc import Mapping
from typing import Any

import pytest
from kit.map_entries import node_info, partition_info
from kit.situations import FOUR, HOUR, NOW, P1, P2, QUIET, chosen, plan, situation, with_

from dstk_cluster.overrides import ADOPTED
from dstk_keytypes import PartitionId
from dstk_service.controller_settings import MIB
from dstk_storage.adapters.memory_cluster import MemoryCluster
from dstk_storage.domain.controller.model import Action, ActionRecord, Load, Situation, Step

BIG, BUSY = Load(257 * MIB, 10**6, 10.0, 10.0, 10.0), Load(50 * MIB, 10**5, 9e4, 3e4, 9e4)


def one(load: Load, **more: Any) -> Situation:
    return situation(FOUR[:3], [partition_info(1, ["n1", "n2", "n3"])], {1: load}, **more)


def test_a_large_partition_is_split() -> None:
    (step,) = plan(one(BIG))
    assert step == Step(Action.SPLIT, P1, "it holds 257.0 MiB (limit 256.0 MiB)")


def test_a_busy_partition_is_split_by_load() -> None:
    (step,) = plan(one(BUSY))
    assert step.by_load
    assert step.reason == "it serves 30,000 operations a second (limit 20,000)"


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
    partitions = [
        partition_info(at + 1, ["n1", "n2", "n3"], start=bounds[at] or b"", end=bounds[at + 1]) for at in range(4)
    ]
    loads = {at: Load((300 + at) * MIB, 10**6) for at in range(1, 5)}
    state = situation(FOUR[:3], partitions, loads)
    assert [step.partition for step in plan(state) if step.action == "split"] == [4, 3]
    begun = with_(state, running=(Step(Action.SPLIT, PartitionId(4), ""),))
    assert [step.partition for step in plan(begun) if step.action == "split"] == [3]


def small(second: list[str] | None = None, loads: Mapping[int, Load] | None = None, **more: Any) -> Situation:
    partitions = [
        partition_info(1, ["n1", "n2", "n3"], end=b"b"),
        partition_info(2, second or ["n1", "n3", "n2"], start=b"b", end=b"c"),
        partition_info(3, ["n2", "n3", "n1"], start=b"c", end=b"d"),
        partition_info(4, ["n3", "n2", "n1"], start=b"d"),
    ]
    return situation(FOUR[:3], partitions, loads or dict.fromkeys(range(1, 5), QUIET), **more)


def merges(state: Situation) -> list[Step]:
    return [step for step in plan(state) if step.action == "merge"]


def test_small_neighbours_in_the_same_hands_are_merged() -> None:
    (step,) = merges(small())
    assert (step.partition, step.upper, step.at) == (1, 2, b"b")
    assert "20.0 MiB (limit 64.0 MiB)" in step.reason


def test_what_is_not_alike_or_not_small_is_not_merged() -> None:
    busy = Load(MIB, 10, 10.0, 10.0, 4_990.0)
    assert merges(small(["n3", "n2", "n1"])) == []
    assert merges(small(loads={1: Load(60 * MIB, 9, 1.0, 1.0, 1.0), **dict.fromkeys((2, 3, 4), QUIET)})) == []
    assert merges(small(loads={1: busy, **dict.fromkeys((2, 3, 4), QUIET)})) == []
    assert merges(small(loads={1: Load(1, 1, 1.0, 1.0), **dict.fromkeys((2, 3, 4), QUIET)})) == [], "peak unknown"
    assert merges(small(loads={2: QUIET})) == []
    assert merges(small(settings={"merge_share": 0.0})) == []


def test_there_are_never_fewer_partitions_than_nodes() -> None:
    partitions = [partition_info(1, ["n1", "n2", "n3"], end=b"b"), partition_info(2, ["n1", "n2", "n3"], start=b"b")]
    assert merges(situation(FOUR[:3], partitions)) == []
    assert merges(
        situation([node_info("n1")], [partition_info(1, ["n1"], end=b"b"), partition_info(2, ["n1"], start=b"b")])
    )


def test_what_was_split_is_not_merged_soon_and_the_reverse() -> None:
    for ours in (
        ActionRecord(Action.SPLIT, P1, NOW - 599_000, upper=P2),
        ActionRecord(Action.SPLIT, P2, NOW - 599_000),
    ):
        assert merges(with_(small(), records=(ours,))) == []
    assert merges(with_(small(), records=(ActionRecord(Action.SPLIT, P1, NOW - 601_000, upper=P2),)))
    merged = ActionRecord(Action.MERGE, P1, NOW - 599_000, upper=P2)
    assert plan(with_(one(BIG), records=(merged,))) == []
    assert plan(with_(one(BIG), records=(ActionRecord(Action.MERGE, P1, NOW - 601_000),)))


# -- what operators chose ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", ["split", "add_replica", "transfer_primary", ADOPTED])
def test_what_an_operator_touched_is_not_merged(action: str) -> None:
    assert merges(chosen(small(), action, 2, age=23 * HOUR)) == []
    assert merges(chosen(small(), action, 2, age=25 * HOUR))


def test_what_an_operator_merged_is_not_split() -> None:
    assert plan(chosen(one(BIG), "merge", age=23 * HOUR)) == []
    assert plan(chosen(one(BIG), "merge", age=25 * HOUR))


def test_a_boundary_that_an_operator_drew_stays_when_nodes_come() -> None:
    state = chosen(small(), "split", 2)
    grown = MemoryCluster.of([*FOUR[:3], node_info("n4")], list(state.map.partitions), {})
    assert merges(with_(state, map=grown.map)) == []
