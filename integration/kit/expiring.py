"""Records that have expired, as they lie on disk."""

from dstk_storage.domain import layout
from dstk_storage.ports import Engine


def put_expiring(engine: Engine, keys: list[bytes], size: int = 10) -> None:
    """Puts a record of each key into the engine, with its index entry."""
    batch = engine.batch()
    for key in keys:
        batch.put(layout.DATA + key, layout.encode_record(b"v" * size, 1, 1, 5))
        batch.put(layout.expiry_key(5, key), b"")
    engine.write(batch)
