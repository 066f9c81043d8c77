"""Adding the writes of a batch to an engine write."""

from collections.abc import Sequence

from dstk_storage.domain import layout
from dstk_storage.ports import Batch as EngineBatch


def apply_records(keys: Sequence[bytes], records: Sequence[bytes], target: EngineBatch) -> list[bytes]:
    """Adds writes in their order: encoded records, or markers of removals. Returns the keys that are removed."""
    put, data, removed = target.put, layout.DATA, list[bytes]()
    for key, record in zip(keys, records, strict=True):
        if record[1]:
            _apply_flagged(key, record, target, removed)
        else:
            put(data + key, record)
    return removed


def _apply_flagged(key: bytes, record: bytes, target: EngineBatch, removed: list[bytes]) -> None:
    flags = record[1]
    expires_at_ms = layout.expires_at(record) if flags & layout.FLAG_EXPIRES else 0
    if not flags & layout.FLAG_REMOVAL:
        target.put(layout.DATA + key, record)
        target.put(layout.expiry_key(expires_at_ms, key), b"")
        return
    if not flags & layout.FLAG_INDEX_ONLY:
        target.delete(layout.DATA + key)
        removed.append(key)
    if expires_at_ms:
        target.delete(layout.expiry_key(expires_at_ms, key))
