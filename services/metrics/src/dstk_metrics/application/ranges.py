"""How large a range is, and where to cut it into pieces."""

from bisect import bisect_right
from collections.abc import Sequence
from math import ceil

from dstk.v1 import metrics_pb2
from dstk_cluster.model import ClusterMap, PartitionInfo
from dstk_cluster.view import CurrentMap
from dstk_metrics.application.counts import Counts
from dstk_metrics.application.surveying import Surveyor
from dstk_metrics.domain.buckets import Bucket, Run, Table, Unit, amount, halved, replaced, summed
from dstk_metrics.domain.split_points import Size, across, coarse, fewest, pieces
from dstk_service import metrics_requests
from dstk_service.errors import InvalidArgument, NotServing

ROUNDS = 6
"""How often buckets are measured more finely. Each round makes them four times smaller, or more."""

FIRST_BUCKETS = 64
"""Of a partition of which nothing is known yet."""

RETRY_SECONDS = 0.5


class RangeAnswers:
    """Answers EstimateRange and GetSplitPoints. Whole partitions are known by their counters. Parts of them, and those that are
    not counted, are measured by the nodes that lead them.
    """

    def __init__(self, view: CurrentMap, counts: Counts, surveyor: Surveyor) -> None:
        self._view, self._counts, self._surveyor = view, counts, surveyor

    async def estimate(self, request: metrics_pb2.EstimateRangeRequest) -> metrics_pb2.EstimateRangeResponse:
        """Raises InvalidArgument, NotServing."""
        metrics_requests.estimate(request)
        found = self._partitions(request.start, request.end)
        known, unknown = self._sorted(found, request.start, request.end, 1)
        tables = [*known, *await self._surveyor.measure(unknown)]
        records, size = summed(tables, Unit.RECORDS), summed(tables, Unit.BYTES)
        return metrics_pb2.EstimateRangeResponse(
            records=round(records.value),
            records_low=int(records.low),
            records_high=ceil(records.high),
            bytes=round(size.value),
            bytes_low=int(size.low),
            bytes_high=ceil(size.high),
            partitions=len(found),
            measured_partitions=len(unknown),
        )

    async def split_points(self, request: metrics_pb2.GetSplitPointsRequest) -> metrics_pb2.GetSplitPointsResponse:
        """Raises InvalidArgument, NotServing."""
        metrics_requests.split_points(request)
        start, end = request.start, request.end
        known, unknown = self._sorted(self._partitions(start, end), start, end, FIRST_BUCKETS)
        tables = sorted([*known, *await self._surveyor.measure(unknown)], key=lambda table: table.range[0])
        buckets = [bucket for table in tables for bucket in table.buckets]
        if not buckets:
            return metrics_pb2.GetSplitPointsResponse()
        size = _size(request, buckets)
        buckets, current = await self._refined(buckets, size, request)
        borders = () if request.across_partitions else _borders(current, start, end)
        made = [_message(piece, current) for piece in pieces(buckets, borders, size)]
        return metrics_pb2.GetSplitPointsResponse(pieces=made)

    async def _refined(
        self, buckets: list[Bucket], size: Size, request: metrics_pb2.GetSplitPointsRequest
    ) -> tuple[list[Bucket], ClusterMap]:
        """Buckets that are small beside a piece, and none across a border of the map."""
        for number in range(ROUNDS + 1):
            current = self._current()
            borders = () if request.across_partitions else _borders(current, request.start, request.end)
            while straddling := across(buckets, borders):
                cut = {bucket.start: halved(bucket, at) for bucket, at in straddling}
                buckets = [part for bucket in buckets for part in cut.get(bucket.start, (bucket,))]
            _check_number(fewest(buckets, borders, size), size, request, buckets)
            runs = coarse(buckets, borders, size)
            if not runs or number == ROUNDS:
                break
            buckets = replaced(buckets, await self._surveyor.measure(runs))
        return buckets, current

    def _sorted(
        self, found: Sequence[PartitionInfo], start: bytes, end: bytes, buckets: int
    ) -> tuple[list[Table], list[Run]]:
        """What is known of whole partitions, and what is to be measured."""
        known, unknown = [], []
        for partition in found:
            low, high = max(start, partition.range.start), _lower(end, partition.range.end or b"")
            is_whole = (low, high) == (partition.range.start, partition.range.end or b"")
            count = self._counts.of(partition) if is_whole else None
            if count is None:
                unknown.append(Run(low, high, buckets))
            else:
                known.append(Table([Bucket(low, high, (count.records, count.bytes))], count.errors))
        return known, unknown

    def _partitions(self, start: bytes, end: bytes) -> list[PartitionInfo]:
        if end and start >= end:
            return []
        current = self._current()
        low = bisect_right(current.partitions, start, key=_start) - 1
        return [each for each in current.partitions[low:] if not end or each.range.start < end]

    def _current(self) -> ClusterMap:
        current = self._view.current
        if current is None or not current.partitions:
            raise NotServing("this service has not read the partition map yet", RETRY_SECONDS)
        return current


def _start(partition: PartitionInfo) -> bytes:
    return partition.range.start


def _lower(one: bytes, other: bytes) -> bytes:
    """The lower one of two ends."""
    return min(one, other) if one and other else one or other


def _borders(current: ClusterMap, start: bytes, end: bytes) -> list[bytes]:
    """Where partitions start inside the range."""
    starts = (partition.range.start for partition in current.partitions)
    return [each for each in starts if each > start and (not end or each < end)]


def _size(request: metrics_pb2.GetSplitPointsRequest, buckets: Sequence[Bucket]) -> Size:
    if request.piece_records:
        return Size(Unit.RECORDS, request.piece_records)
    if request.piece_bytes:
        return Size(Unit.BYTES, request.piece_bytes)
    return Size(Unit.BYTES, max(1.0, amount(buckets, Unit.BYTES) / request.pieces))


def _check_number(
    count: int, size: Size, request: metrics_pb2.GetSplitPointsRequest, buckets: Sequence[Bucket]
) -> None:
    most = metrics_requests.MAX_PIECES
    if count <= most:
        return
    if request.pieces:
        limit = f"fewer: with the borders of partitions there would be {count} pieces, and the most is {most}"
        raise InvalidArgument("pieces", str(request.pieces), limit)
    field = "piece_bytes" if size.unit is Unit.BYTES else "piece_records"
    least = int(amount(buckets, size.unit) / most * 1.1) + 1
    limit = f"about {least} or more, or a smaller range: there would be {count} pieces, and the most is {most}"
    raise InvalidArgument(field, str(round(size.amount)), limit)


def _message(piece: Bucket, current: ClusterMap) -> metrics_pb2.RangePiece:
    partition = current.partition_of(piece.start)
    records, size = piece.amounts
    return metrics_pb2.RangePiece(
        start=piece.start,
        end=piece.end,
        records=round(records),
        bytes=round(size),
        partition_id=partition.id,
        primary=partition.primary,
    )
