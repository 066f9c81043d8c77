"""Answers of storage nodes to a client: pages of a scan, and how far a bulk insert came."""

from dstk.v1 import kv_pb2, records_pb2
from dstk_client import BulkStop


def page(*keys: bytes, resume: bytes | None = None) -> kv_pb2.ScanResponse:
    """Returns a page of records "v". `resume`: where the next page begins."""
    count = len(keys)
    batch = records_pb2.RecordBatch(keys=keys, values=[b"v"] * count, etags=[1] * count, written_at_ms=[2] * count)
    return kv_pb2.ScanResponse(records=batch, resume_key=resume)


def inserted(count: int, stop: BulkStop, current: int = 0) -> kv_pb2.BulkInsertResponse:
    """Returns that so many records were inserted, and why no more. `current`: the etag of the record in the way."""
    return kv_pb2.BulkInsertResponse(
        inserted=count, etags=range(count), stop=kv_pb2.BulkStop.ValueType(stop), current_etag=current
    )


def inserted_all(request: kv_pb2.BulkInsertRequest) -> kv_pb2.BulkInsertResponse:
    """Returns that all records of the request were inserted."""
    return inserted(len(request.keys), BulkStop.COMPLETE)
