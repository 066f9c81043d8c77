"""What the controller's looks at the cluster tell together, and how long it rests after failures."""

import pytest
from kit.situations import FOUR, N1, N2, N3, N4, P1, QUIET

from dstk_cluster.model import ClusterMap
from dstk_keytypes import KeyRange, NodeId
from dstk_storage.adapters.world import World, node, partition
from dstk_storage.domain.controller.model import Action
from dstk_storage.domain.controller.outcomes import Backoff
from dstk_storage.domain.controller.ports import Figures, Observation
from dstk_storage.domain.controller.tracker import PEAK_LOOKS, Tracker


def figures(count: int, node_id: NodeId = N1, key_range: KeyRange | None = None) -> Observation:
    info = partition(1, ["n1", "n2"])
    known = Figures(node_id, key_range or info.range, 10, 2, count)
    return Observation(ClusterMap(1, "c", "u", (info,), {}), frozenset(), {P1: known})


def test_operations_come_from_the_differences_of_counters() -> None:
    tracker = Tracker()
    loads = [tracker.measure(figures(count), float(at))[P1] for at, count in enumerate([100, 150, 350, 360])]
    assert [load.operations for load in loads] == [None, 50.0, 200.0, 10.0]
    assert [load.sustained for load in loads] == [None, None, 50.0, 10.0]
    assert loads[-1].peak is None
    for at in range(4, PEAK_LOOKS + 1):
        last = tracker.measure(figures(360), float(at))[P1]
    assert last.peak == 200.0
    assert tracker.measure(figures(360), 61.0)[P1].peak == 200.0
    assert tracker.measure(figures(360), 63.0)[P1].peak == 10.0, "what is longer ago than a minute does not count"


@pytest.mark.parametrize(
    "later",
    [figures(50), figures(500, N2), figures(500, N1, KeyRange(b"", b"m"))],
    ids=["restart", "transfer", "split"],
)
def test_a_counter_of_another_process_or_range_begins_anew(later: Observation) -> None:
    tracker = Tracker()
    tracker.measure(figures(100), 0.0)
    assert tracker.measure(figures(200), 1.0)[P1].operations == 100.0
    assert tracker.measure(later, 2.0)[P1].operations is None


def test_missing_nodes_are_counted_from_when_they_were_last_seen() -> None:
    tracker, world = Tracker(), World.of(FOUR, [partition(1, ["n1", "n3"])], {1: QUIET})
    tracker.see(world.map, 0.0)
    del world.nodes[N3], world.nodes[N4]
    tracker.see(world.map, 10.0)
    assert tracker.gone(15.0) == {N3: 5.0, N4: 5.0}
    world.nodes[N3] = node("n3")
    tracker.see(world.map, 20.0)
    assert tracker.gone(20.0) == {N4: 10.0}
    tracker.see(world.map, 100_000.0)
    tracker.see(world.map, 100_001.0)
    assert tracker.gone(100_001.0) == {}, "nobody waits for it any more"


def test_the_rest_after_failures_doubles_and_ends() -> None:
    backoff, attempt = Backoff(), (Action.SPLIT, P1, None)
    assert [backoff.failed(attempt, 0.0) for _ in range(8)] == [2, 4, 8, 16, 32, 64, 120, 120]
    assert backoff.resting(119.0) == {attempt}
    assert backoff.resting(121.0) == frozenset()
    assert backoff.failed(attempt, 121.0) == 120
    backoff.succeeded(attempt)
    assert backoff.failed(attempt, 130.0) == 2
    assert backoff.resting(1000.0) == frozenset()
    assert backoff.failed(attempt, 1000.0) == 2
