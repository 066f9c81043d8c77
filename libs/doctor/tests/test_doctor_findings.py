"""The doctor: each finding about the map and its replicas when there is reason for it, and its absence when there is none."""

from collections.abc import Callable

import pytest
from kit import statuses
from kit.examined import NOW, E, FakeFacts, Finds, N, W, at

from dstk.v1 import admin_pb2
from dstk_doctor.examine import examine


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
    well.nodes["storage-1"] = statuses.gone("storage-1")


def not_serving(well: FakeFacts) -> None:
    well.not_serving = [2]


def one_in_sync(well: FakeFacts) -> None:
    well.entries[0] = statuses.entry(1, "1/23", end=b"m")


def two_in_sync(well: FakeFacts) -> None:
    well.entries[0] = statuses.entry(1, "12", end=b"m")


def behind(well: FakeFacts) -> None:
    well.replica(1, "2", at(sequence=90))


def behind_by_an_epoch(well: FakeFacts) -> None:
    well.replica(1, "2", at(epoch=4, sequence=100))


def ahead(well: FakeFacts) -> None:
    well.replica(1, "2", at(sequence=120))


def stuck_learner(well: FakeFacts) -> None:
    well.entries[0] = statuses.entry(1, "12/3", end=b"m")
    well.replica(1, "3", at(sequence=50))


def stale_epoch(well: FakeFacts) -> None:
    well.replica(2, "1", {"epoch": 4})


def two_primaries(well: FakeFacts) -> None:
    well.replica(1, "3", {"primary": True})


def missing(well: FakeFacts) -> None:
    well.replica(1, "3", None)


def quarantined(well: FakeFacts) -> None:
    well.replica(1, "3", {"quarantined": True})


def needs_snapshot(well: FakeFacts) -> None:
    well.replica(1, "3", {"needs_snapshot": True})


def comes_and_goes(well: FakeFacts) -> None:
    well.events = [
        admin_pb2.Event(at_ms=NOW + n, action="out_of_sync", partition_id=1, subject="storage-3") for n in range(3)
    ]


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


def operations_fail(well: FakeFacts) -> None:
    well.failures[1] = admin_pb2.FailureCounts(client=9, server=3), admin_pb2.FailureCounts(client=90, server=7)


CASES: list[tuple[Callable[[FakeFacts], None], Finds]] = [
    (gap, Finds("map_gap", E, "from m up to n", "the map", "dstk partitions")),
    (gap_at_the_start, Finds("map_gap", E, "from the first up to a", "the map", "dstk partitions")),
    (gap_at_the_end, Finds("map_gap", E, "from z up to the last", "the map", "dstk partitions")),
    (no_map, Finds("map_gap", E, "has not been bootstrapped", "the whole key space", "dstk nodes")),
    (
        overlap,
        Finds("map_overlap", E, "1 and 2 both hold the keys from k on", "partitions 1, 2", "dstk partitions show 2"),
    ),
    (primary_gone, Finds("no_primary", E, "storage-1 is gone", "partition 1", "dstk partitions show 1")),
    (not_serving, Finds("no_primary", E, "storage-2 does not serve it", "partition 2", "dstk partitions show 2")),
    (one_in_sync, Finds("under_replicated", E, "1 of 3", "partition 1", "dstk partitions show 1")),
    (two_in_sync, Finds("under_replicated", W, "2 of 3", "partition 1", "dstk controller plan")),
    (behind, Finds("replica_behind", E, "stands at 5:90", "partition 1 on storage-2", "dstk partitions repair 1")),
    (
        behind_by_an_epoch,
        Finds("replica_behind", E, "at 4:100", "partition 1 on storage-2", "dstk partitions repair 1"),
    ),
    (ahead, Finds("replica_ahead", E, "stood at 5:120", "partition 1 on storage-2", "dstk partitions repair 1")),
    (stuck_learner, Finds("learner_stuck", W, "stands at 5:50", "partition 1 on storage-3", "dstk partitions show 1")),
    (
        stale_epoch,
        Finds("epoch_stale", E, "epoch 4 of the map, which is at 5", "partition 2 on storage-1", "dstk partitions"),
    ),
    (
        two_primaries,
        Finds("two_primaries", E, "which is storage-1", "partition 1 on storage-3", "dstk partitions show 1"),
    ),
    (missing, Finds("replica_missing", E, "and has none", "partition 1 on storage-3", "dstk partitions show 1")),
    (quarantined, Finds("quarantined", E, "corrupt", "partition 1 on storage-3", "dstk partitions repair 1 --apply")),
    (needs_snapshot, Finds("needs_snapshot", N, "being rebuilt", "partition 1 on storage-3", "dstk partitions show 1")),
    (comes_and_goes, Finds("comes_and_goes", E, "3 times", "partition 1 on storage-3", "dstk controller events")),
    (
        operations_fail,
        Finds("operations_fail", W, "0 reads and 4 writes", "partition 1 on storage-1", "dstk partitions show 1"),
    ),
    (undecided, Finds("replicas_differ", E, "storage-1, storage-3 differ", "partition 1", "dstk partitions repair 1")),
    (
        differed,
        Finds("replica_differed", W, "storage-3 differed from the majority", "partition 1", "dstk partitions show 1"),
    ),
    (
        compared_late,
        Finds("comparison_late", W, "last compared 4 d 0 h ago; every 24 h", "partition 2", "dstk partitions show 2"),
    ),
]


@pytest.mark.parametrize(("spoil", "expected"), CASES, ids=[spoil.__name__ for spoil, _ in CASES])
def test_each_trouble_of_a_partition_is_found_said_placed_and_helped(
    well: FakeFacts, spoil: Callable[[FakeFacts], None], expected: Finds
) -> None:
    spoil(well)
    expected.check(examine(well.facts()))


@pytest.mark.parametrize(
    "spoil", [spoil for spoil, _ in CASES if spoil not in {primary_gone, one_in_sync, no_map, stuck_learner}]
)
def test_each_trouble_of_a_partition_is_found_alone(well: FakeFacts, spoil: Callable[[FakeFacts], None]) -> None:
    spoil(well)
    assert len(examine(well.facts())) == 1
