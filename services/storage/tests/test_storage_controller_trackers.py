"""What the controller remembers from sample to sample, and how long it backs off after failures."""

import pytest
from kit.map_entries import node_info, partition_info
from kit.situations import FOUR, N1, N2, N3, N4, P1, QUIET

from dstk_cluster.model import ClusterMap
from dstk_keytypes import KeyRange, NodeId
from dstk_storage.adapters.memory_cluster import MemoryCluster
from dstk_storage.domain.controller.absence_tracker import AbsenceTracker
from dstk_storage.domain.controller.load_tracker import PEAK_SAMPLES, LoadTracker
from dstk_storage.domain.controller.model import Action
from dstk_storage.domain.controller.ports import ClusterSample, PartitionSample
from dstk_storage.domain.controller.retries import RetrySchedule


def sample(count: int, node_id: NodeId = N1, key_range: KeyRange | None = None) -> ClusterSample:
    info = partition_info(1, ["n1", "n2"])
    known = PartitionSample(node_id, key_range or info.range, 10, 2, count)
    return ClusterSample(ClusterMap(1, "c", "u", (info,), {}), frozenset(), {P1: known})


def test_operations_come_from_the_differences_of_counters() -> None:
    tracker = LoadTracker()
    loads = [tracker.measure(sample(count), float(at))[P1] for at, count in enumerate([100, 150, 350, 360])]
    assert [load.operations for load in loads] == [None, 50.0, 200.0, 10.0]
    assert [load.sustained for load in loads] == [None, None, 50.0, 10.0]
    assert loads[-1].peak is None
    for at in range(4, PEAK_SAMPLES + 1):
        last = tracker.measure(sample(360), float(at))[P1]
    assert last.peak == 200.0
    assert tracker.measure(sample(360), 61.0)[P1].peak == 200.0
    assert tracker.measure(sample(360), 63.0)[P1].peak == 10.0, "the peak covers only the last minute"


@pytest.mark.parametrize(
    "later",
    [sample(50), sample(500, N2), sample(500, N1, KeyRange(b"", b"m"))],
    ids=["restart", "transfer", "split"],
)
def test_a_counter_of_another_process_or_range_starts_over(later: ClusterSample) -> None:
    tracker = LoadTracker()
    tracker.measure(sample(100), 0.0)
    assert tracker.measure(sample(200), 1.0)[P1].operations == 100.0
    assert tracker.measure(later, 2.0)[P1].operations is None


def test_missing_nodes_are_counted_from_when_they_were_last_seen() -> None:
    tracker, cluster = AbsenceTracker(), MemoryCluster.of(FOUR, [partition_info(1, ["n1", "n3"])], {1: QUIET})
    tracker.update(cluster.map, 0.0)
    del cluster.nodes[N3], cluster.nodes[N4]
    tracker.update(cluster.map, 10.0)
    assert tracker.gone(15.0) == {N3: 5.0, N4: 5.0}
    cluster.nodes[N3] = node_info("n3")
    tracker.update(cluster.map, 20.0)
    assert tracker.gone(20.0) == {N4: 10.0}
    tracker.update(cluster.map, 100_000.0)
    tracker.update(cluster.map, 100_001.0)
    assert tracker.gone(100_001.0) == {}, "it is forgotten after a day"


def test_the_delay_after_failures_doubles_and_ends() -> None:
    schedule, attempt = RetrySchedule(), (Action.SPLIT, P1, None)
    assert [schedule.failed(attempt, 0.0) for _ in range(8)] == [2, 4, 8, 16, 32, 64, 120, 120]
    assert schedule.backing_off(119.0) == {attempt}
    assert schedule.backing_off(121.0) == frozenset()
    assert schedule.failed(attempt, 121.0) == 120
    schedule.succeeded(attempt)
    assert schedule.failed(attempt, 130.0) == 2
    assert schedule.backing_off(1000.0) == frozenset()
    assert schedule.failed(attempt, 1000.0) == 2
