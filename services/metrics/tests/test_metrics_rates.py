"""Rates are true whatever comes between two reports: what they add up to is what the nodes counted."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.map_entries import partition_info
from kit.reports import Row, map_of, report

from dstk_cluster.model import PartitionInfo
from dstk_keytypes import NodeId
from dstk_metrics.domain.book import Book
from dstk_metrics.domain.report import Counter

NODES = ("storage-1", "storage-2")
BORDERS = [b"c", b"g", b"m", b"t"]


@dataclass
class Node:
    """A node of the model: what it counts, and what the service has seen of it."""

    name: str
    session: int = 1
    uptime: float = 0.0
    counts: dict[int, float] = field(default_factory=dict)
    told: bool = False


class Model:
    """Plays a cluster, and adds up what the book should count: the increments between two reports of one session of a node, if
    the partition had the same range and primary all the time.
    """

    def __init__(self) -> None:
        self.book, self.now, self.revision = Book(), 0.0, 1
        self.nodes = {name: Node(name) for name in NODES}
        self.infos: dict[int, PartitionInfo] = {1: partition_info(1, [NODES[0]])}
        self.bases: dict[int, tuple[object, float, float]] = {}
        self.expected = self.seen = 0.0
        self.follow()

    def follow(self) -> None:
        self.revision += 1
        self.book.follow(map_of(self.infos.values(), self.revision, nodes=NODES))

    def change(self, info: PartitionInfo, **fields: object) -> None:
        primary = fields.pop("primary", info.primary)
        start, end = fields.pop("start", info.range.start), fields.pop("end", info.range.end)
        self.bases.pop(info.id, None)
        self.infos[info.id] = partition_info(info.id, [primary], start=start, end=end, epoch=info.epoch + 1)

    def split(self, pick: int, border: bytes) -> None:
        info = self.pick(pick)
        if border > info.range.start and (info.range.end is None or border < info.range.end):
            new = 1 + max(self.infos)
            self.infos[new] = partition_info(
                new, [info.primary], start=border, end=info.range.end, epoch=info.epoch + 1
            )
            self.change(info, end=border)
            self.nodes[info.primary].counts[new] = 12_345.0
            self.follow()

    def merge(self, pick: int) -> None:
        ordered = sorted(self.infos.values(), key=lambda each: each.range.start)
        if len(ordered) > 1:
            lower, upper = ordered[pick % (len(ordered) - 1) :][:2]
            if lower.primary == upper.primary:
                del self.infos[upper.id]
                self.bases.pop(upper.id, None)
                self.change(lower, end=upper.range.end)
                counts = self.nodes[lower.primary].counts
                counts[lower.id] = counts.get(lower.id, 0) + counts.pop(upper.id, 0)
                self.follow()

    def move(self, pick: int) -> None:
        info = self.pick(pick)
        self.change(info, primary=NODES[1 - NODES.index(info.primary)])
        self.follow()

    def restart(self, name: str) -> None:
        node = self.nodes[name]
        node.session, node.uptime, node.told = node.session + 1, 0.0, False
        node.counts.clear()

    def work(self, name: str, seconds: float, operations: int) -> None:
        """The node serves for a while, and then reports."""
        node = self.nodes[name]
        node.uptime, self.now = node.uptime + seconds, self.now + seconds
        led = [info for info in self.infos.values() if info.primary == name]
        for info in led:
            node.counts[info.id] = node.counts.get(info.id, 0) + operations * info.id
        rows = [
            Row(
                info.id,
                info.range.start,
                info.range.end or b"",
                info.epoch,
                {Counter.READS: node.counts[info.id]},
            )
            for info in led
        ]
        told = report(rows, node.uptime, session=f"{name}-{node.session}", complete=not node.told)
        node.told = True
        assert not self.book.take(NodeId(name), told, self.now).refused
        for info in led:
            self.count(info, node)

    def count(self, info: PartitionInfo, node: Node) -> None:
        """What the increment should be, and what rate and time of the book amount to."""
        basis = node.name, node.session
        slot = self.book.layout.slot_of[info.id]
        before, self.bases[info.id] = self.bases.get(info.id), (basis, node.counts[info.id], node.uptime)
        if before and before[0] == basis:
            self.expected += node.counts[info.id] - before[1]
            self.seen += self.book.columns.rates[slot, Counter.READS] * (node.uptime - before[2])

    def pick(self, pick: int) -> PartitionInfo:
        return sorted(self.infos.values(), key=lambda each: each.id)[pick % len(self.infos)]


picks = st.integers(0, 9)
steps = st.one_of(
    st.tuples(st.just("work"), st.sampled_from(NODES), st.floats(1, 60), st.integers(0, 1000)),
    st.tuples(st.just("split"), picks, st.sampled_from(BORDERS)),
    st.tuples(st.just("merge"), picks),
    st.tuples(st.just("move"), picks),
    st.tuples(st.just("restart"), st.sampled_from(NODES)),
)


@given(st.lists(steps, max_size=40))
def test_rates_times_seconds_are_the_increments(played: list[tuple[object, ...]]) -> None:
    model = Model()
    for name, *arguments in played:
        getattr(model, name)(*arguments)
        rates = model.book.columns.rates[model.book.layout.order]
        assert (rates >= 0).all()
        assert len(model.book.layout) == len(model.infos)
    assert model.seen == pytest.approx(model.expected)
