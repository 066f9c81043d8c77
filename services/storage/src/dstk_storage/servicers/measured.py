"""Tables of ranges as messages."""

from dstk.v1 import statistics_pb2
from dstk_storage.domain.layout import DATA
from dstk_storage.domain.measuring.measurer import Measured


def measured_message(measured: Measured) -> statistics_pb2.MeasureRangeResponse:
    """The answer to a call."""
    table = measured.table
    return statistics_pb2.MeasureRangeResponse(
        start=measured.range.start,
        end=measured.range.end or b"",
        borders=[border.removeprefix(DATA) for border in table.borders],
        records=[amount.records for amount in table.amounts],
        bytes=[amount.bytes for amount in table.amounts],
        records_error=table.error.records,
        bytes_error=table.error.bytes,
        examined_records=measured.examined,
    )
