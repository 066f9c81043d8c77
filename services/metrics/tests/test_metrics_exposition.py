"""What Prometheus gets of single partitions: series within a budget at /metrics, and all of them at /metrics/partitions."""

import asyncio
from collections import Counter as Tally
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from kit.reports import Row, divided, map_of, report
from prometheus_client.parser import text_string_to_metric_families

from dstk_keytypes import NodeId
from dstk_metrics.adapters.cluster_series import ClusterSeries
from dstk_metrics.domain.book import Book
from dstk_metrics.domain.partition_table import AMOUNTS, DONE, PartitionTable, partition_table
from dstk_metrics.domain.report import Counter, State
from dstk_metrics.domain.top_partitions import TopPartitions
from dstk_telemetry.metrics.instruments import Instruments
from dstk_telemetry.registry import cluster_partitions
from dstk_telemetry.registry.kinds import Metric, Owner
from dstk_telemetry.registry.partitions import OTHERS

BORDERS = [b"b", b"c", b"d", b"e"]
ONE, TWO = NodeId("storage-1"), NodeId("storage-2")


class Told:
    """A book of five partitions whose node tells what the test says, and what is exported of it."""

    def __init__(self, top: int) -> None:
        self.book, self.instruments = Book(), Instruments(Owner.METRICS)
        ClusterSeries(self.instruments, lambda: partition_table(self.book), top)
        self.now, self.epoch = 0.0, 0
        self.move(ONE)

    def move(self, node: NodeId) -> None:
        """All partitions move to a node, which counts from 0."""
        self.node, self.counts, self.epoch = node, Tally[int](), self.epoch + 1
        self.book.follow(map_of(divided(BORDERS, [node], self.epoch), self.epoch))
        self.tell({}, complete=True)

    def tell(self, reads: dict[int, int], *, complete: bool = False, size: int = 0) -> None:
        """So many more reads of each partition; partition n has n times the size."""
        self.now += 10
        self.counts.update(reads)
        rows = [
            Row(
                number,
                start,
                end,
                self.epoch,
                counters={Counter.READS: self.counts[number]},
                state={State.BYTES: size * number},
            )
            for number, (start, end) in enumerate(pairwise([b"", *BORDERS, b""]), 1)
        ]
        told = report(rows, self.now, session=str(self.epoch), complete=complete)
        assert not self.book.take(self.node, told, self.now).refused

    def scraped(self, *metrics: Metric) -> list[dict[str, float]]:
        """The series of metrics, by partition."""
        text, _ = asyncio.run(self.instruments.exposition())
        return [series(text.decode(), metric) for metric in metrics]

    def shown(self, metric: Metric) -> dict[str, float]:
        """The series of one metric."""
        return self.scraped(metric)[0]


def series(text: str, metric: Metric) -> dict[str, float]:
    samples = (sample for family in text_string_to_metric_families(text) for sample in family.samples)
    return {sample.labels["partition"]: sample.value for sample in samples if sample.name == metric.name}


def test_partitions_that_stand_out_have_series_and_the_others_a_sum() -> None:
    told = Told(top=1)
    told.tell({1: 5, 2: 50, 3: 7}, size=100)
    assert told.scraped(cluster_partitions.READS, cluster_partitions.SIZE) == [
        {"2": 50, "5": 0, OTHERS: 12},
        {"2": 200, "5": 500, OTHERS: 800},
    ]


def test_an_idle_cluster_has_sums_only() -> None:
    told = Told(top=2)
    assert told.shown(cluster_partitions.READS) == {OTHERS: 0}


def test_a_partition_that_moves_to_another_node_goes_on_counting() -> None:
    told = Told(top=1)
    told.tell({2: 50})
    assert told.shown(cluster_partitions.READS)["2"] == 50
    told.move(TWO)
    told.tell({2: 4})
    assert told.shown(cluster_partitions.READS)["2"] == 54


def test_a_partition_that_takes_the_place_of_another_begins_at_zero() -> None:
    def table(number: int, reads: float) -> PartitionTable:
        done = np.zeros((1, len(DONE)))
        done[0, DONE.index(Counter.READS)] = reads
        return PartitionTable(np.array([number]), np.array([0]), done, np.zeros((1, len(AMOUNTS))))

    tops = TopPartitions(1)
    assert [tops.look(table(*each)).done.sum() for each in ((7, 50), (7, 60), (8, 5), (8, 65))] == [50, 10, 5, 60]


STEPS = st.lists(st.dictionaries(st.integers(1, 5), st.integers(0, 5)), min_size=1, max_size=8)


@settings(deadline=None)
@given(STEPS, st.integers(1, 3))
def test_sums_never_fall_and_nothing_is_counted_twice(steps: list[dict[int, int]], top: int) -> None:
    told, own, sums, done = Told(top), Tally[str](), [0.0], 0
    for step in steps:
        told.tell(step)
        done += sum(step.values())
        shown = told.shown(cluster_partitions.READS)
        sums.append(shown.pop(OTHERS))
        own.update({name: step.get(int(name), 0) for name in shown})
        assert all(own[name] == value for name, value in shown.items())
        assert len(shown) <= top
    assert all(later >= earlier for earlier, later in pairwise(sums))
    assert sums[-1] + own.total() == done
