"""EstimateRange and GetSplitPoints, by nodes that hold known records while partitions move and split."""

import asyncio
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from typing_extensions import override

from dstk.v1 import metrics_pb2
from dstk_cluster.model import ClusterMap, NodeInfo, NodeState, PartitionInfo
from dstk_keytypes import KeyRange, NodeId, PartitionId
from dstk_metrics.application.counts import Count
from dstk_metrics.application.ranges import RangeAnswers
from dstk_metrics.application.surveying import AT_ONCE_OF_A_NODE, PATIENCE_SECONDS, Surveyor
from dstk_metrics.domain.buckets import Bucket, Run, Table
from dstk_metrics.ports import Measuring
from dstk_service.errors import InvalidArgument, NotOwner, NotServing, Overloaded
from dstk_service.testing import ManualClock

Estimate = metrics_pb2.EstimateRangeRequest
Split = metrics_pb2.GetSplitPointsRequest
SIZE = 10
A, B = NodeId("a"), NodeId("b")


def key(number: int) -> bytes:
    return b"%05d" % number


@dataclass
class FakeCluster(Measuring):
    """Records of 10 bytes under 5-digit keys, and what nodes say of them. `before` is called before each answer."""

    records: int
    current: ClusterMap | None = None
    before: Callable[[Run], None] = lambda run: None
    counted: dict[int, Count] = field(default_factory=dict)
    asked: list[tuple[str, int, Run]] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0

    def show(self, *starts: bytes, primaries: Sequence[NodeId] = (A, B)) -> None:
        """A map of partitions that start there, led by one node and the next in turn."""
        bounds = [b"", *starts, None]
        partitions = []
        for at, start in enumerate(bounds[:-1]):
            node = primaries[at % len(primaries)]
            span = KeyRange(start or b"", bounds[at + 1])
            partitions.append(PartitionInfo(PartitionId(at + 1), span, 1, node, (node,), (node,)))
        nodes = {each: NodeInfo(each, f"{each}:1", "", NodeState.SERVING, 1, "0", "i") for each in (A, B)}
        self.current = ClusterMap(1, "c", "u", tuple(partitions), nodes)

    def of(self, partition: PartitionInfo) -> Count | None:
        return self.counted.get(partition.id)

    @override
    async def measure(self, node: NodeInfo, partition: PartitionId, run: Run) -> Table:
        self.asked.append((node.id, partition, run))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(0)
            self.before(run)
            return self._table(node, partition, run)
        finally:
            self.at_once -= 1

    def _table(self, node: NodeInfo, partition: PartitionId, run: Run) -> Table:
        assert self.current is not None
        info = next((each for each in self.current.partitions if each.id == partition), None)
        if info is None or info.primary != node.id or not info.range.contains(run.start):
            raise NotOwner(None, "")
        end = min(filter(None, (run.end, info.range.end or b"")), default=b"")
        numbers = range(self._number(run.start), self._number(end) if end else self.records)
        count = min(run.buckets, max(1, len(numbers)))
        cuts = [numbers.start + len(numbers) * at // count for at in range(count + 1)]
        bounds = [run.start, *map(key, cuts[1:-1]), end]
        amounts = [(high - low, (high - low) * SIZE) for low, high in pairwise(cuts)]
        buckets = [Bucket(bounds[at], bounds[at + 1], each, each[0] <= 1) for at, each in enumerate(amounts)]
        return Table(buckets, (0.0, 0.0))

    def _number(self, bound: bytes) -> int:
        return bisect_left(range(self.records), bound, key=key)


class AskedCluster(FakeCluster):
    """With the calls of the service."""

    def __init__(self, records: int = 10_000) -> None:
        super().__init__(records)
        self.clock = ManualClock()
        self.answers = RangeAnswers(self, self, Surveyor(self, self, self.clock))

    async def estimate(self, start: bytes = b"", end: bytes = b"") -> metrics_pb2.EstimateRangeResponse:
        return await self.answers.estimate(Estimate(start=start, end=end))

    async def pieces(self, **fields: object) -> list[metrics_pb2.RangePiece]:
        return list((await self.answers.split_points(Split(**fields))).pieces)


async def test_whole_partitions_are_known_by_their_counters_and_parts_are_measured() -> None:
    cluster = AskedCluster()
    cluster.show(key(2000), key(4000))
    cluster.counted = {2: Count(2000, 20_000, (30, 300))}
    answer = await cluster.estimate(key(1000), key(5000))
    assert (answer.records, answer.bytes, answer.partitions, answer.measured_partitions) == (4000, 40_000, 3, 2)
    assert (answer.records_low, answer.bytes_high) == (3970, 40_300)
    assert 4030 <= answer.records_high <= 4031
    assert sorted(number for _, number, _ in cluster.asked) == [1, 3]
    assert all(run.buckets == 1 for _, _, run in cluster.asked)
    whole = await cluster.estimate()
    assert (whole.records, whole.measured_partitions) == (10_000, 2)
    nothing = await cluster.estimate(key(5), key(5))
    assert (nothing.records, nothing.records_high, nothing.partitions) == (0, 0, 0)


@pytest.mark.parametrize(
    "fields", [{"piece_records": 170}, {"piece_bytes": 1700}, {"pieces": 60}, {"piece_records": 3}], ids=str
)
@pytest.mark.parametrize("across", [True, False])
async def test_pieces_are_about_as_large_as_asked_for(fields: dict[str, int], across: bool) -> None:
    cluster = AskedCluster()
    cluster.show(key(1234), key(5000))
    pieces = await cluster.pieces(start=key(100), end=key(9000), across_partitions=across, **fields)
    assert [piece.start for piece in pieces] == [key(100), *(piece.end for piece in pieces[:-1])]
    assert pieces[-1].end == key(9000)
    assert sum(piece.records for piece in pieces) == 8900
    wanted = fields.get("piece_records") or fields.get("piece_bytes", 0) / SIZE or 8900 / fields["pieces"]
    for piece in pieces:
        true = int(piece.end) - int(piece.start)
        assert (piece.records, piece.bytes) == (true, true * SIZE)
        assert wanted / 2 <= true <= wanted * 2
        assert piece.primary == ("b" if key(1234) <= piece.start < key(5000) else "a")
    starts = {piece.start for piece in pieces}
    assert across or {key(1234), key(5000)} <= starts


async def test_partitions_that_are_one_piece_each_are_not_measured() -> None:
    cluster = AskedCluster()
    cluster.show(key(5000))
    cluster.counted = {number: Count(5000, 50_000, (0, 0)) for number in (1, 2)}
    pieces = await cluster.pieces(piece_records=4000)
    assert [(piece.start, piece.end, piece.records, piece.partition_id) for piece in pieces] == [
        (b"", key(5000), 5000, 1),
        (key(5000), b"", 5000, 2),
    ]
    assert cluster.asked == []


async def test_a_partition_that_splits_and_moves_meanwhile_is_measured_where_it_is() -> None:
    cluster = AskedCluster()
    cluster.show(primaries=(A,))
    changes = iter([(key(5000),), (key(2500), key(5000)), (key(2500), key(5000), key(7500))])

    def split(run: Run) -> None:
        if (starts := next(changes, None)) is not None:
            cluster.show(*starts, primaries=(B, A))

    cluster.before = split
    measuring = asyncio.create_task(cluster.estimate(b"", key(9999)))
    while not measuring.done():
        await cluster.clock.advance(1)
    assert measuring.result().records == 9999
    cluster.show(primaries=(A,))
    changes = iter([(), (key(5000),), (key(2500), key(5000))])
    cutting = asyncio.create_task(cluster.pieces(piece_records=100))
    while not cutting.done():
        await cluster.clock.advance(1)
    pieces = cutting.result()
    assert len(cluster.current.partitions) > 1
    assert {each.range.start for each in cluster.current.partitions} <= {piece.start for piece in pieces}
    assert sum(piece.records for piece in pieces) == 10_000
    assert all(50 <= piece.records <= 200 for piece in pieces)


async def test_a_node_that_does_not_answer_is_named_after_the_deadline() -> None:
    cluster = AskedCluster()
    cluster.show(key(5000))

    def refuse(run: Run) -> None:
        if run.start >= key(5000):
            raise NotServing("broken", 0.5)

    cluster.before = refuse
    measuring = asyncio.create_task(cluster.estimate())
    await cluster.clock.advance(PATIENCE_SECONDS + 1)
    with pytest.raises(NotServing, match=r"node 'b' has not measured partition 2 within 10 s: .*broken"):
        await measuring
    cluster.current = None
    with pytest.raises(NotServing, match="not read the partition map"):
        await cluster.estimate()


async def test_a_node_that_measures_for_others_is_asked_again_and_each_node_for_few_at_once() -> None:
    cluster = AskedCluster()
    cluster.show(*map(key, range(100, 10_000, 100)))
    refusals = iter(range(20))

    def busy(run: Run) -> None:
        if next(refusals, None) is not None:
            raise Overloaded("others", 0.25)

    cluster.before = busy
    measuring = asyncio.create_task(cluster.estimate())
    while not measuring.done():
        await cluster.clock.advance(1)
    assert measuring.result().records == 10_000
    assert cluster.most_at_once == 2 * AT_ONCE_OF_A_NODE


async def test_too_many_pieces_are_refused_with_the_size_to_ask_for() -> None:
    cluster = AskedCluster()
    cluster.show()
    cluster.counted = {1: Count(10**9, 10**12, (0, 0))}
    with pytest.raises(InvalidArgument, match=r"piece_bytes.*about 1100000\d or more.*the most is 100000"):
        await cluster.pieces(piece_bytes=1000)
    with pytest.raises(InvalidArgument, match=r"piece_records.*about 1100\d or more"):
        await cluster.pieces(piece_records=1000)


@pytest.mark.parametrize(
    "wrong",
    [Split(pieces=1, start=b"b", end=b"a"), Split(), Split(pieces=1, piece_bytes=1), Split(piece_bytes=1 << 41)],
    ids=str,
)
async def test_wrong_requests_are_refused(wrong: metrics_pb2.GetSplitPointsRequest) -> None:
    cluster = AskedCluster()
    with pytest.raises(InvalidArgument):
        await cluster.answers.split_points(wrong)
    with pytest.raises(InvalidArgument):
        await cluster.estimate(b"b", b"a")
