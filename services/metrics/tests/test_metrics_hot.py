"""Which partitions are hot, since when, and when a node is asked again."""

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from kit.reports import Row, divided, map_of, report

from dstk.v1 import metrics_pb2
from dstk_keytypes import NodeId
from dstk_metrics.application.following import ReportTaker
from dstk_metrics.application.hot import HotLists
from dstk_metrics.domain.book import Book
from dstk_metrics.domain.figures import Figure
from dstk_metrics.domain.hot import FLOORS, Heat, rule_of
from dstk_metrics.domain.pace import Pace
from dstk_metrics.domain.recheck import BURST, REFILL_SECONDS, Recheck
from dstk_metrics.domain.report import Counter
from dstk_service.errors import InvalidArgument, NotServing
from dstk_service.testing import ManualClock

ONE = NodeId("storage-1")
FLOOR = FLOORS[Figure.READS]


class Cluster:
    """Partitions of one node, whose reads a test plays."""

    def __init__(self, partitions: int) -> None:
        borders = [b"%04d" % number for number in range(1, partitions)]
        self.clock, self.book = ManualClock(), Book()
        self.infos = divided(borders, ["storage-1"])
        self.book.follow(map_of(self.infos))
        self.heat, self.recheck = Heat(self.book, 30), Recheck()
        self.taker = ReportTaker(self.book, self.heat, self.recheck, self.clock)
        self.lists = HotLists(self.book, self.heat, self.clock, Pace(10), 30)
        self.counts, self.at = [0.0] * partitions, 0.0
        self.tell({}, 0)

    def tell(self, rates: Mapping[int, float], seconds: float, keys: Sequence[bytes] = ()) -> None:
        """The node reports after so many seconds at these rates."""
        self.at += seconds
        for partition, rate in rates.items():
            self.counts[partition - 1] += rate * seconds
        rows = [
            Row(info.id, info.range.start, info.range.end or b"", 1, {Counter.READS: count}, keys=keys)
            for info, count in zip(self.infos, self.counts, strict=True)
        ]
        self.taker.take(ONE, report(rows, self.at, complete=not self.at))

    def play(self, rates: Mapping[int, float], reports: int = 3, keys: Sequence[bytes] = ()) -> None:
        for _ in range(reports):
            self.tell(rates, 10, keys)

    def hot(self, by: int = metrics_pb2.FIGURE_READS) -> list[metrics_pb2.HotPartition]:
        return list(self.lists.answer(metrics_pb2.ListHotPartitionsRequest(by=by)).partitions)


def test_a_partition_with_most_of_the_load_is_hot() -> None:
    cluster = Cluster(10)
    cluster.play({3: 1000, 4: 10})
    (found,) = cluster.hot()
    assert (found.stats.partition_id, found.load) == (3, 1000)
    assert found.share == pytest.approx(1000 / 1010)
    assert found.skew == pytest.approx(1000 / 101)


def test_no_partition_is_hot_where_all_are_equally_busy() -> None:
    for partitions in (2, 10, 100):
        cluster = Cluster(partitions)
        cluster.play(dict.fromkeys(range(1, partitions + 1), 10 * FLOOR))
        assert not cluster.hot()


def test_no_partition_is_hot_below_the_floor() -> None:
    cluster = Cluster(10)
    cluster.play({3: FLOOR - 1})
    assert not cluster.hot()


def test_the_only_partition_is_hot_above_the_floor() -> None:
    cluster = Cluster(1)
    cluster.play({1: FLOOR})
    (found,) = cluster.hot()
    assert (found.share, found.skew) == (1, 1)


def test_one_busy_report_makes_nothing_hot_and_three_of_five_do() -> None:
    cluster = Cluster(10)
    cluster.play({}, 5)
    cluster.play({3: 1000}, 1)
    cluster.play({}, 4)
    assert not cluster.hot()
    cluster.play({3: 1000}, 2)
    assert not cluster.hot()
    cluster.play({3: 1000}, 1)
    assert [each.stats.partition_id for each in cluster.hot()] == [3]


async def test_it_is_hot_since_it_was_found_hot_and_no_longer_once_it_is_silent() -> None:
    cluster = Cluster(10)
    cluster.play({3: 1000})
    assert cluster.hot()[0].hot_for_s == 0
    await cluster.clock.advance(12)
    assert cluster.hot()[0].hot_for_s == 12
    await cluster.clock.advance(20)
    assert not cluster.hot()


def test_the_threshold_looks_at_the_sixtieth_largest_load() -> None:
    loads = np.zeros(1000)
    loads[:100] = np.arange(1000, 0, -10)
    rule = rule_of(Figure.READS, loads)
    assert rule.threshold == pytest.approx(0.8 * loads[59])
    assert rule_of(Figure.READS, loads[:59]).threshold == pytest.approx(1.5 * loads[:59].mean())
    assert rule_of(Figure.TIME, np.zeros(100)).threshold == FLOORS[Figure.TIME]


def test_every_figure_is_looked_at_and_its_rule_told() -> None:
    cluster = Cluster(3)
    cluster.play({3: 1000})
    answer = cluster.lists.answer(metrics_pb2.ListHotPartitionsRequest())
    assert [rule.by for rule in answer.rules] == [1, 2, 4, 5, 7]
    assert [(each.by, each.stats.partition_id) for each in answer.partitions] == [(1, 3)]
    assert answer.rules[0].threshold == pytest.approx(500)
    assert answer.rules[0].window_s == 50


def test_the_hottest_come_first_up_to_the_limit() -> None:
    cluster = Cluster(20)
    cluster.play({3: 1000, 5: 3000, 7: 2000})
    request = metrics_pb2.ListHotPartitionsRequest(by=metrics_pb2.FIGURE_READS, limit=2)
    assert [each.stats.partition_id for each in cluster.lists.answer(request).partitions] == [5, 7]


def test_the_reasons_name_the_key_and_the_node() -> None:
    cluster = Cluster(20)
    cluster.play({3: 1000, 7: 2000}, keys=[b"0006xyz"] * 9 + [b"0006abc"])
    hottest, *_ = cluster.hot()
    assert (hottest.samples, hottest.prefixes[0].prefix, hottest.prefixes[0].is_key) == (30, b"0006xyz", True)
    assert "a split does not divide a key" in hottest.advice
    assert "storage-1 leads 2 hot partitions" in hottest.advice


@pytest.mark.parametrize(("fields", "named"), [({"by": 3}, "by"), ({"by": 99}, "by"), ({"limit": 1001}, "limit")])
def test_bad_requests_are_refused_by_field(fields: dict[str, int], named: str) -> None:
    with pytest.raises(InvalidArgument, match=named):
        Cluster(1).lists.answer(metrics_pb2.ListHotPartitionsRequest(**fields))


def test_without_a_map_nothing_is_listed() -> None:
    book, clock = Book(), ManualClock()
    lists = HotLists(book, Heat(book, 30), clock, Pace(10), 30)
    with pytest.raises(NotServing):
        lists.answer(metrics_pb2.ListHotPartitionsRequest())


def test_a_node_is_asked_again_when_a_load_rises_until_it_is_hot() -> None:
    cluster = Cluster(10)
    assert cluster.recheck.due(0) == [ONE]  # its rates begin
    cluster.play({}, 5)
    cluster.heat.update(0)
    assert cluster.recheck.due(0) == []
    cluster.tell({3: 1000}, 10)
    assert cluster.recheck.due(0) == [ONE]
    cluster.tell({3: 1000}, 1)
    assert cluster.recheck.due(0) == [ONE]
    cluster.tell({3: 1000}, 1)
    assert cluster.recheck.due(0) == []
    assert cluster.hot()


def test_a_node_is_asked_again_in_bursts_only() -> None:
    recheck, asked = Recheck(), 0
    for second in range(600):
        recheck.want(ONE)
        asked += len(recheck.due(second))
    assert asked == pytest.approx(BURST + 600 / REFILL_SECONDS, abs=1)
