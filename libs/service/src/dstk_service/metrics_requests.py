"""Checks of Metrics requests. The metrics service, routers and the command line run the same checks.

As in requests.py, every function returns None or raises InvalidArgument, which names the field, the value and the limit.
"""

from dstk.v1 import metrics_pb2, statistics_pb2
from dstk_keytypes import limits
from dstk_service.errors import InvalidArgument, shown

MAX_LISTED = 10_000
MAX_OFFSET = 1_000_000
MAX_HOT = 1_000
MAX_PIECES = 100_000
MAX_PIECE = 1 << 40
MAX_MATRIX = 1_536
MIN_INTERVAL_MS, MAX_INTERVAL_MS = 1_000, 60_000
MAX_BUCKETS = 4_096
MAX_SESSION = 64

_NO_HISTORY = {metrics_pb2.FIGURE_UNSPECIFIED, metrics_pb2.FIGURE_LAG}
LOADS = (
    metrics_pb2.FIGURE_READS,
    metrics_pb2.FIGURE_WRITES,
    metrics_pb2.FIGURE_READ_BYTES,
    metrics_pb2.FIGURE_WRITTEN_BYTES,
    metrics_pb2.FIGURE_TIME,
)
"""What a partition can be hot by."""


def partition_stats(request: metrics_pb2.ListPartitionStatsRequest) -> None:
    """Checks a list of partitions."""
    _range(request.start, request.end)
    _figure(request.sort_by, "sort_by")
    _at_most("offset", request.offset, MAX_OFFSET)
    _at_most("limit", request.limit, MAX_LISTED)


def hot_partitions(request: metrics_pb2.ListHotPartitionsRequest) -> None:
    """Checks a list of hot partitions."""
    _figure(request.by, "by")
    if request.by and request.by not in LOADS:
        names = ", ".join(map(_name, LOADS))
        raise InvalidArgument("by", _name(request.by), f"one of {names}, or unspecified")
    _at_most("limit", request.limit, MAX_HOT)


def estimate(request: metrics_pb2.EstimateRangeRequest) -> None:
    """Checks the range of an estimate."""
    _range(request.start, request.end)


def split_points(request: metrics_pb2.GetSplitPointsRequest) -> None:
    """Checks a range, and that the size of its pieces is given in one way."""
    _range(request.start, request.end)
    _at_most("piece_bytes", request.piece_bytes, MAX_PIECE)
    _at_most("piece_records", request.piece_records, MAX_PIECE)
    _at_most("pieces", request.pieces, MAX_PIECES)
    given = [name for name in ("piece_bytes", "piece_records", "pieces") if getattr(request, name)]
    if len(given) != 1:
        what = " and ".join(given) or "none of them"
        raise InvalidArgument("piece_bytes", what, "give one of piece_bytes, piece_records and pieces")


def history(request: metrics_pb2.GetHistoryRequest) -> None:
    """Checks a range, a time and the size of the matrix."""
    _figure(request.figure, "figure")
    if request.figure in _NO_HISTORY:
        raise InvalidArgument(
            "figure", _name(request.figure), "a figure that has a history: any but UNSPECIFIED and LAG"
        )
    _range(request.start, request.end)
    if request.to_ms and request.from_ms >= request.to_ms:
        raise InvalidArgument("from_ms", str(request.from_ms), f"earlier than to_ms, which is {request.to_ms}")
    _at_most("max_rows", request.max_rows, MAX_MATRIX)
    _at_most("max_columns", request.max_columns, MAX_MATRIX)


def watch(request: metrics_pb2.WatchStatsRequest) -> None:
    """Checks the interval of a stream of totals."""
    interval(request.interval_ms)


def watch_statistics(request: statistics_pb2.WatchStatisticsRequest) -> None:
    """Checks the request of a node's feed."""
    interval(request.interval_ms)
    if len(request.session) > MAX_SESSION:
        raise InvalidArgument("session", f"{len(request.session)} characters", f"0..{MAX_SESSION} characters")


def measure(request: statistics_pb2.MeasureRangeRequest) -> None:
    """Checks what a node is to measure."""
    if request.partition_id < 1:
        raise InvalidArgument("partition_id", str(request.partition_id), "at least 1")
    _range(request.start, request.end)
    if not 1 <= request.buckets <= MAX_BUCKETS:
        raise InvalidArgument("buckets", str(request.buckets), f"1..{MAX_BUCKETS}")


def interval(milliseconds: int) -> None:
    """Raises InvalidArgument for an interval out of bounds; 0 is the default."""
    if milliseconds and not MIN_INTERVAL_MS <= milliseconds <= MAX_INTERVAL_MS:
        limit = f"{MIN_INTERVAL_MS}..{MAX_INTERVAL_MS} ms, or 0 for the default"
        raise InvalidArgument("interval_ms", str(milliseconds), limit)


def _range(start: bytes, end: bytes) -> None:
    for field, bound in (("start", start), ("end", end)):
        if len(bound) > limits.MAX_KEY_BYTES:
            raise InvalidArgument(field, shown(bound), f"0..{limits.MAX_KEY_BYTES} bytes")
    if end and start > end:
        raise InvalidArgument("start", shown(start), f"not above end, which is {shown(end)}")


def _figure(value: int, field: str) -> None:
    if value not in metrics_pb2.Figure.values():
        raise InvalidArgument(field, str(value), "a figure of metrics.proto, 1..10")


def _name(value: int) -> str:
    return metrics_pb2.Figure.Name(value).removeprefix("FIGURE_")  # type: ignore[arg-type] # checked before


def _at_most(field: str, value: int, most: int) -> None:
    if value > most:
        raise InvalidArgument(field, str(value), f"0..{most}")
