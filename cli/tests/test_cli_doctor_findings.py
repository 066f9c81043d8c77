"""The doctor: each finding when there is reason for it, and its absence when there is none."""

from collections.abc import Callable

import pytest
from kit.examined import NOW, FakeFacts, at, kinds, only

from dstk.v1 import admin_pb2
from dstk_cli.doctor.examine import examine
from dstk_cli.doctor.facts import Severity


def test_a_cluster_that_is_well_has_no_findings(well: FakeFacts) -> None:
    assert examine(well.facts()) == []


def gap(well: FakeFacts) -> None:
    well.entries[1].start = b"n"


def gap_at_the_end(well: FakeFacts) -> None:
    well.entries[1].end = b"z"


def gap_at_the_start(well: FakeFacts) -> None:
    well.entries[0].start = b"a"


def no_map(well: FakeFacts) -> None:
    well.entries = []


def overlap(well: FakeFacts) -> None:
    well.entries[1].start = b"k"


def primary_gone(well: FakeFacts) -> None:
    well.nodes["storage-1"] = well.build.gone("storage-1")


def not_serving(well: FakeFacts) -> None:
    well.not_serving = [2]


def one_in_sync(well: FakeFacts) -> None:
    well.entries[0] = well.build.entry(1, "1/23", end=b"m")


def two_in_sync(well: FakeFacts) -> None:
    well.entries[0] = well.build.entry(1, "12", end=b"m")


def behind(well: FakeFacts) -> None:
    well.replica(1, "2", at(sequence=90))


def behind_by_an_epoch(well: FakeFacts) -> None:
    well.replica(1, "2", at(epoch=4, sequence=100))


def ahead(well: FakeFacts) -> None:
    well.replica(1, "2", at(sequence=120))


def stuck_learner(well: FakeFacts) -> None:
    well.entries[0] = well.build.entry(1, "12/3", end=b"m")
    well.replica(1, "3", at(sequence=50))


def stale_epoch(well: FakeFacts) -> None:
    well.replica(2, "1", {"epoch": 4})


def two_primaries(well: FakeFacts) -> None:
    well.replica(1, "3", {"primary": True})


def missing(well: FakeFacts) -> None:
    well.replica(1, "3", None)


def quarantined(well: FakeFacts) -> None:
    well.replica(1, "3", {"quarantined": True})


def rebuilding(well: FakeFacts) -> None:
    well.replica(1, "3", {"rebuilding": True})


def comes_and_goes(well: FakeFacts) -> None:
    well.events = [
        admin_pb2.Event(at_ms=NOW + n, action="out_of_sync", partition_id=1, subject="storage-3") for n in range(3)
    ]


def gone(well: FakeFacts) -> None:
    well.nodes["storage-3"] = well.build.gone("storage-3")
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
    well.nodes["storage-4"] = well.build.node("storage-4")


def exhausted(well: FakeFacts) -> None:
    full(well)
    well.nodes["storage-3"].takes_deletions = False


def low_disk_beside_others(well: FakeFacts) -> None:
    low_disk(well)
    well.nodes["storage-4"] = well.build.node("storage-4")


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
    well.nodes["storage-4"] = well.build.node("storage-4", desired_state=admin_pb2.DESIRED_STATE_DRAINED)


def removed(well: FakeFacts) -> None:
    well.nodes["storage-4"] = well.build.gone("storage-4", desired_state=admin_pb2.DESIRED_STATE_REMOVED)


def undecided(well: FakeFacts) -> None:
    well.compared[1] = admin_pb2.ComparisonStatus(
        completed_ms=NOW, outcome=admin_pb2.COMPARISON_OUTCOME_UNDECIDED, nodes=["storage-1", "storage-3"]
    )


def differed(well: FakeFacts) -> None:
    well.compared[1] = admin_pb2.ComparisonStatus(
        completed_ms=NOW - 60_000, outcome=admin_pb2.COMPARISON_OUTCOME_QUARANTINED, nodes=["storage-3"]
    )


def compared_late(well: FakeFacts) -> None:
    late = admin_pb2.ComparisonStatus(completed_ms=NOW - 4 * 86_400_000, outcome=admin_pb2.COMPARISON_OUTCOME_EQUAL)
    well.compared[2] = late


def not_compared(well: FakeFacts) -> None:
    well.settings["compare_hours"] = 0


def operations_fail(well: FakeFacts) -> None:
    well.failures[1] = admin_pb2.FailureCounts(client=9, server=3), admin_pb2.FailureCounts(client=90, server=7)


def leaderless(well: FakeFacts) -> None:
    well.leader = ""


def paused(well: FakeFacts) -> None:
    well.settings["paused"] = True


E, W, N = Severity.ERROR, Severity.WARNING, Severity.NOTE

CASES: list[tuple[Callable[[FakeFacts], None], str, Severity, str, str, str]] = [
    (gap, "map_gap", E, "from m up to n", "the map", "dstk partitions"),
    (gap_at_the_start, "map_gap", E, "from the first up to a", "the map", "dstk partitions"),
    (gap_at_the_end, "map_gap", E, "from z up to the last", "the map", "dstk partitions"),
    (no_map, "map_gap", E, "has not been bootstrapped", "the whole key space", "dstk nodes"),
    (overlap, "map_overlap", E, "1 and 2 both hold the keys from k on", "partitions 1, 2", "dstk partitions show 2"),
    (primary_gone, "no_primary", E, "storage-1 is gone", "partition 1", "dstk partitions show 1"),
    (not_serving, "no_primary", E, "storage-2 does not serve it", "partition 2", "dstk partitions show 2"),
    (one_in_sync, "under_replicated", E, "1 of 3", "partition 1", "dstk partitions show 1"),
    (two_in_sync, "under_replicated", W, "2 of 3", "partition 1", "dstk controller plan"),
    (behind, "replica_behind", E, "stands at 5:90", "partition 1 on storage-2", "dstk partitions repair 1"),
    (behind_by_an_epoch, "replica_behind", E, "at 4:100", "partition 1 on storage-2", "dstk partitions repair 1"),
    (ahead, "replica_ahead", E, "stood at 5:120", "partition 1 on storage-2", "dstk partitions repair 1"),
    (stuck_learner, "learner_stuck", W, "stands at 5:50", "partition 1 on storage-3", "dstk partitions show 1"),
    (stale_epoch, "epoch_stale", E, "epoch 4 of the map, which is at 5", "partition 2 on storage-1", "dstk partitions"),
    (two_primaries, "two_primaries", E, "which is storage-1", "partition 1 on storage-3", "dstk partitions show 1"),
    (missing, "replica_missing", E, "and has none", "partition 1 on storage-3", "dstk partitions show 1"),
    (quarantined, "quarantined", E, "corrupt", "partition 1 on storage-3", "dstk partitions repair 1 --apply"),
    (rebuilding, "rebuilding", N, "being rebuilt", "partition 1 on storage-3", "dstk partitions show 1"),
    (comes_and_goes, "comes_and_goes", E, "3 times", "partition 1 on storage-3", "dstk controller events"),
    (gone, "node_gone", E, "has replicas of partitions 1, 2", "storage-3", "dstk nodes remove storage-3"),
    (silent, "node_silent", E, "does not answer", "storage-3", "dstk nodes"),
    (failing, "read_only", E, "is its disk broken? 60 GiB of 100 GiB are free", "storage-3", "dstk nodes"),
    (full, "read_only", E, "delete data, add a node, or enlarge the disk", "storage-3", "dstk nodes compact storage-3"),
    (full_beside_others, "read_only", E, "deletions and expiry alone", "storage-3", "dstk nodes drain storage-3"),
    (exhausted, "read_only", E, "does not even take deletions; 250 MiB of 100 GiB are free", "storage-3", "dstk nodes"),
    (low_disk, "low_disk", W, "9.0 GiB of 100 GiB are free", "storage-3", "dstk nodes compact storage-3"),
    (low_disk_beside_others, "low_disk", W, "have room for what it holds", "storage-3", "dstk nodes drain storage-3"),
    (
        operations_fail,
        "operations_fail",
        W,
        "0 reads and 4 writes",
        "partition 1 on storage-1",
        "dstk partitions show 1",
    ),
    (clocks, "clocks_apart", W, "1.5 s ahead of storage-1's", "storage-1, storage-3", "dstk nodes"),
    (no_etcd, "no_etcd", E, "does not reach etcd", "storage-3", "dstk nodes"),
    (mixed, "mixed_versions", W, "0.1.0: storage-1, storage-2; 0.2.0: storage-3", "nodes", "dstk nodes"),
    (cordoned, "cordoned", N, "receives no new replicas", "storage-3", "dstk nodes uncordon storage-3"),
    (draining, "draining", N, "2 replicas are left", "storage-3", "dstk nodes drain storage-3 --wait"),
    (emptied, "emptied", N, "holds no replica and still runs", "storage-4", "dstk nodes uncordon storage-4"),
    (removed, "emptied", N, "holds no replica and is gone", "storage-4", "dstk nodes uncordon storage-4"),
    (undecided, "replicas_differ", E, "storage-1, storage-3 differ", "partition 1", "dstk partitions repair 1"),
    (differed, "replica_differed", W, "storage-3 differed from the majority", "partition 1", "dstk partitions show 1"),
    (
        compared_late,
        "comparison_late",
        W,
        "last compared 4 d 0 h ago; every 24 h",
        "partition 2",
        "dstk partitions show 2",
    ),
    (not_compared, "comparison_off", N, "not compared", "controller", "dstk controller set compare_hours=24"),
    (leaderless, "no_controller", E, "no node is the controller", "controller", "dstk controller status"),
    (paused, "controller_paused", W, "its plan has 0 steps", "controller", "dstk controller resume"),
]


@pytest.mark.parametrize(
    ("spoil", "kind", "severity", "what", "where", "run"), CASES, ids=[case[0].__name__ for case in CASES]
)
def test_each_trouble_is_found_said_placed_and_helped(
    well: FakeFacts, spoil: Callable[[FakeFacts], None], kind: str, severity: Severity, what: str, where: str, run: str
) -> None:
    spoil(well)
    found = only(examine(well.facts()), kind)
    assert found.severity is severity
    assert what in found.what
    assert found.where == where
    assert found.run.startswith(run)


@pytest.mark.parametrize(
    "spoil",
    [case[0] for case in CASES if case[0] not in {primary_gone, gone, silent, one_in_sync, no_map, stuck_learner}],
)
def test_each_trouble_is_found_alone(well: FakeFacts, spoil: Callable[[FakeFacts], None]) -> None:
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
