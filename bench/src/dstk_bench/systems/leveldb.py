"""The ceiling: LevelDB in this process through plyvel, no network, no server; writes are synced."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from dstk_bench.systems.base import Place, System, UnavailableError
from dstk_bench.workload import READ_PREFIX, Record

_CACHE_BYTES = 64 << 20


@asynccontextmanager
async def start(place: Place) -> AsyncIterator[tuple[System, ...]]:
    """Opens a new database and yields the system `leveldb`."""
    try:
        import plyvel  # noqa: PLC0415 - absent on some machines, and then this system is skipped
    except ImportError as error:
        raise UnavailableError("plyvel is not installed") from error
    database = plyvel.DB(str(place.folder("leveldb")), create_if_missing=True, lru_cache_size=_CACHE_BYTES)
    try:
        calls = _Calls(database)
        about = f"in process, plyvel {version('plyvel')}"
        yield (
            System(
                "leveldb", about, calls.bulk, calls.get, calls.put, bulk=calls.bulk, scan=calls.scan, in_process=True
            ),
        )
    finally:
        database.close()


class _Calls:
    """LevelDB calls as coroutines that never suspend, so that the closed loop can run them."""

    def __init__(self, database: Any) -> None:
        self._database = database

    async def get(self, key: bytes) -> object:
        return self._database.get(key)

    async def put(self, key: bytes, value: bytes) -> None:
        self._database.put(key, value, sync=True)

    async def bulk(self, chunk: Sequence[Record]) -> None:
        with self._database.write_batch(sync=True) as batch:
            for key, value in chunk:
                batch.put(key, value)

    async def scan(self) -> int:
        count = 0
        for _key, _value in self._database.iterator(prefix=READ_PREFIX):
            count += 1
        return count
