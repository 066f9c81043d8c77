"""A small in-memory store for scripted servers, which counts its changes."""

from collections import Counter

import grpc

from dstk.v1 import kv_pb2, records_pb2
from dstk_client.types import Record
from dstk_keytypes import Key
from dstk_service.errors import AlreadyExists, DstkError, EtagMismatched

_GET = kv_pb2.OPERATION_KIND_GET
_DELETE = kv_pb2.OPERATION_KIND_DELETE
_NOT_FOUND: int = grpc.StatusCode.NOT_FOUND.value[0]
_WRITTEN_AT_MS = 5


class FakeStore:
    """Records by key, with growing etags, and the preconditions of kv.proto. Its methods are answers for a script.

    `effects`: how often a key was changed. A write that is done twice counts twice, whatever it leaves behind.
    """

    def __init__(self) -> None:
        self.records: dict[bytes, tuple[bytes, int]] = {}
        self.effects: Counter[bytes] = Counter()
        self._etag = 0

    def put(self, key: bytes, value: bytes) -> int:
        """Changes a record; its new etag."""
        self._etag += 1
        self.records[key] = value, self._etag
        self.effects[key] += 1
        return self._etag

    def operation(self, asked: kv_pb2.Operation) -> kv_pb2.OperationResult | DstkError:
        """Does one operation of an Execute message."""
        value, etag = self.records.get(asked.key, (b"", 0))
        if asked.kind == _GET:
            found = kv_pb2.OperationResult(value=value, etag=etag, written_at_ms=_WRITTEN_AT_MS)
            return found if etag else kv_pb2.OperationResult(code=_NOT_FOUND)
        if asked.precondition == records_pb2.PRECONDITION_IF_ABSENT and etag:
            return AlreadyExists(etag)
        if asked.precondition == records_pb2.PRECONDITION_IF_ETAG and asked.if_etag != etag:
            return EtagMismatched(etag)
        if asked.kind != _DELETE:
            return kv_pb2.OperationResult(etag=self.put(asked.key, asked.value))
        if not etag:
            return kv_pb2.OperationResult(code=_NOT_FOUND)
        self._etag += 1
        del self.records[asked.key]
        self.effects[asked.key] += 1
        return kv_pb2.OperationResult(etag=self._etag)

    def page(self, asked: kv_pb2.ScanRequest) -> kv_pb2.ScanResponse:
        """Reads a page of records in ascending order."""
        keys = sorted(key for key in self.records if key >= asked.start and (not asked.end or key < asked.end))
        batch = records_pb2.RecordBatch()
        for key in keys[: asked.limit]:
            value, etag = self.records[key]
            batch.keys.append(key)
            batch.packed.append(Record(Key(key), value, etag, _WRITTEN_AT_MS, 0).packed)
        rest = keys[asked.limit :]
        return kv_pb2.ScanResponse(records=batch, resume_key=rest[0] if rest else None)

    def bulk(self, asked: kv_pb2.BulkInsertRequest) -> kv_pb2.BulkInsertResponse:
        """Inserts all records, or as far as the first that is in the way."""
        answer = kv_pb2.BulkInsertResponse(stop=kv_pb2.BULK_STOP_COMPLETE)
        for key, value in zip(asked.keys, asked.values, strict=True):
            if asked.if_absent and key in self.records:
                answer.stop, answer.current_etag = kv_pb2.BULK_STOP_KEY_EXISTS, self.records[key][1]
                break
            answer.etags.append(self.put(key, value))
            answer.inserted += 1
        return answer
