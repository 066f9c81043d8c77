"""The doctor: each finding about nodes and the controller when there is reason for it, and its absence when there is none."""

from collections.abc import Callable

import pytest
from kit import statuses
from kit.examined import E, FakeFacts, Finds, N, W, kinds, only

from dstk.v1 import admin_pb2
from dstk_doctor.examine import examine


def gone(well: FakeFacts) -> None:
    well.nodes["storage-3"] = statuses.gone("storage-3")
    well.silent = ["storage-3"]


def silent(well: FakeFacts) -> None:
    about = well.nodes["storage-3"].node
    well.nodes["storage-3"] = admin_pb2.NodeStatus(node=about, alive=True)
    well.silent = ["storage-3"]


def failing(well: FakeFacts) -> None:
    well.nodes["storage-3"].read_only = True


def full(well: FakeFacts) -> None:
    node = well.nodes["storage-3"]
    node.read_only = node.takes_deletions = True
    node.disk_reserve_bytes, node.free_bytes = 256 << 20, 250 << 20


def full_beside_others(well: FakeFacts) -> None:
    full(well)
    well.nodes["storage-4"] = statuses.node("storage-4")


def exhausted(well: FakeFacts) -> None:
    full(well)
    well.nodes["storage-3"].takes_deletions = False


def low_disk_beside_others(well: FakeFacts) -> None:
    low_disk(well)
    well.nodes["storage-4"] = statuses.node("storage-4")


def low_disk(well: FakeFacts) -> None:
    well.nodes["storage-3"].free_bytes = 9 << 30


def clocks(well: FakeFacts) -> None:
    well.nodes["storage-3"].clock_ms += 1500


def no_etcd(well: FakeFacts) -> None:
    well.nodes["storage-3"].etcd_reachable = False


def mixed(well: FakeFacts) -> None:
    well.nodes["storage-3"].node.version = "0.2.0"


def cordoned(well: FakeFacts) -> None:
    well.nodes["storage-3"].desired_state = admin_pb2.DESIRED_STATE_CORDONED


def draining(well: FakeFacts) -> None:
    well.nodes["storage-3"].desired_state = admin_pb2.DESIRED_STATE_DRAINED


def emptied(well: FakeFacts) -> None:
    well.nodes["storage-4"] = statuses.node("storage-4", desired_state=admin_pb2.DESIRED_STATE_DRAINED)


def removed(well: FakeFacts) -> None:
    well.nodes["storage-4"] = statuses.gone("storage-4", desired_state=admin_pb2.DESIRED_STATE_REMOVED)


def not_compared(well: FakeFacts) -> None:
    well.settings["compare_hours"] = 0


def leaderless(well: FakeFacts) -> None:
    well.leader = ""


def paused(well: FakeFacts) -> None:
    well.settings["paused"] = True


CASES: list[tuple[Callable[[FakeFacts], None], Finds]] = [
    (gone, Finds("node_gone", E, "has replicas of partitions 1, 2", "storage-3", "dstk nodes remove storage-3")),
    (silent, Finds("node_silent", E, "does not answer", "storage-3", "dstk nodes")),
    (failing, Finds("read_only", E, "is its disk broken? 60 GiB of 100 GiB are free", "storage-3", "dstk nodes")),
    (
        full,
        Finds(
            "read_only", E, "delete data, add a node, or enlarge the disk", "storage-3", "dstk nodes compact storage-3"
        ),
    ),
    (
        full_beside_others,
        Finds("read_only", E, "deletions and expiry alone", "storage-3", "dstk nodes drain storage-3"),
    ),
    (
        exhausted,
        Finds("read_only", E, "does not even take deletions; 250 MiB of 100 GiB are free", "storage-3", "dstk nodes"),
    ),
    (low_disk, Finds("low_disk", W, "9.0 GiB of 100 GiB are free", "storage-3", "dstk nodes compact storage-3")),
    (
        low_disk_beside_others,
        Finds("low_disk", W, "have room for what it holds", "storage-3", "dstk nodes drain storage-3"),
    ),
    (clocks, Finds("clocks_apart", W, "1.5 s ahead of storage-1's", "storage-1, storage-3", "dstk nodes")),
    (no_etcd, Finds("no_etcd", E, "does not reach etcd", "storage-3", "dstk nodes")),
    (mixed, Finds("mixed_versions", W, "0.1.0: storage-1, storage-2; 0.2.0: storage-3", "nodes", "dstk nodes")),
    (cordoned, Finds("cordoned", N, "receives no new replicas", "storage-3", "dstk nodes uncordon storage-3")),
    (draining, Finds("draining", N, "2 replicas are left", "storage-3", "dstk nodes drain storage-3 --wait")),
    (emptied, Finds("emptied", N, "holds no replica and still runs", "storage-4", "dstk nodes uncordon storage-4")),
    (removed, Finds("emptied", N, "holds no replica and is gone", "storage-4", "dstk nodes uncordon storage-4")),
    (not_compared, Finds("comparison_off", N, "not compared", "controller", "dstk controller set compare_hours=24")),
    (leaderless, Finds("no_controller", E, "no node is the controller", "controller", "dstk controller status")),
    (paused, Finds("controller_paused", W, "its plan has 0 steps", "controller", "dstk controller resume")),
]


@pytest.mark.parametrize(("spoil", "expected"), CASES, ids=[spoil.__name__ for spoil, _ in CASES])
def test_each_trouble_of_a_node_is_found_said_placed_and_helped(
    well: FakeFacts, spoil: Callable[[FakeFacts], None], expected: Finds
) -> None:
    spoil(well)
    expected.check(examine(well.facts()))


@pytest.mark.parametrize("spoil", [spoil for spoil, _ in CASES if spoil not in {gone, silent}])
def test_each_trouble_of_a_node_is_found_alone(well: FakeFacts, spoil: Callable[[FakeFacts], None]) -> None:
    spoil(well)
    assert len(examine(well.facts())) == 1


def test_where_all_disks_are_full_nobody_is_told_to_drain(well: FakeFacts) -> None:
    for node in well.nodes.values():
        node.read_only = node.takes_deletions = True
        node.disk_reserve_bytes, node.free_bytes = 256 << 20, 200 << 20
    found = examine(well.facts())
    assert [each.run for each in found] == [f"dstk nodes compact storage-{number}" for number in (1, 2, 3)]
    assert all("delete data, add a node, or enlarge the disk" in each.what for each in found)


def test_a_full_node_is_not_told_to_drain_to_nodes_that_take_nothing(well: FakeFacts) -> None:
    full_beside_others(well)
    well.nodes["storage-4"].desired_state = admin_pb2.DESIRED_STATE_CORDONED
    assert only(examine(well.facts()), "read_only").run == "dstk nodes compact storage-3"


def test_a_silent_member_of_the_in_sync_set_holds_writes_up(well: FakeFacts) -> None:
    silent(well)
    found = [each for each in examine(well.facts()) if each.kind == "in_sync_silent"]
    assert [each.where for each in found] == ["partition 1", "partition 2"]
    assert "replica_missing" not in kinds(examine(well.facts()))


def test_clocks_may_differ_by_as_long_as_the_asking_took(well: FakeFacts) -> None:
    clocks(well)
    assert examine(well.facts(nodes_took_s=0.6)) == []


def test_the_worst_comes_first(well: FakeFacts) -> None:
    for spoil in (cordoned, mixed, no_etcd):
        spoil(well)
    assert [each.severity for each in examine(well.facts())] == [E, W, N]
