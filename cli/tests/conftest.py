"""A cluster of one dict for the tests of commands, and a runner that calls them as a shell would."""

import bisect
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from typer.testing import CliRunner, Result

from dstk_cli.data.connection import Target
from dstk_cli.main import app
from dstk_client import BulkResult, BulkStop, Record
from dstk_keytypes import Etag, Key, KeyRange, Ttl
from dstk_service.errors import AlreadyExists, EtagMismatched

NOW_MS = 1_700_000_000_000


class DictClient:
    """As much of a client as the commands need. `failures`: raised by the next bulk inserts, one each."""

    def __init__(self) -> None:
        self.records: dict[Key, Record] = {}
        self.failures: list[Exception] = []
        self.border: bytes | None = None
        self._etag = 0

    async def get(self, key: Key) -> Record | None:
        return self.records.get(key)

    async def put(
        self, key: Key, value: bytes, *, if_absent: bool = False, if_etag: int | None = None, ttl: Ttl | None = None
    ) -> Etag:
        current = self.records.get(key)
        if if_absent and current:
            raise AlreadyExists(current.etag)
        if if_etag and (current is None or current.etag != if_etag):
            raise EtagMismatched(current.etag if current else 0)
        return self._write(key, value, ttl)

    async def delete(self, key: Key, *, if_etag: int | None = None) -> bool:
        return self.records.pop(key, None) is not None

    async def scan(
        self, key_range: KeyRange, *, limit: int | None = None, reverse: bool = False
    ) -> AsyncIterator[Record]:
        keys = sorted(filter(key_range.contains, self.records), reverse=reverse)
        for key in keys[:limit]:
            yield self.records[key]

    async def bulk_insert(self, records: Sequence[tuple[Key, bytes]], *, ttl: Ttl | None = None) -> BulkResult:
        if self.failures:
            raise self.failures.pop(0)
        keys = [key for key, _ in records]
        assert keys == sorted(set(keys))
        end = len(keys)
        if self.border is not None and keys[0] < self.border:
            end = bisect.bisect_left(keys, self.border)
        etags = [self._write(key, value, ttl) for key, value in records[:end]]
        stop = BulkStop.COMPLETE if end == len(keys) else BulkStop.PARTITION_END
        return BulkResult(end, etags, stop, 0)

    def _write(self, key: Key, value: bytes, ttl: Ttl | None) -> Etag:
        self._etag += 1
        self.records[key] = Record(key, value, self._etag, NOW_MS, NOW_MS + ttl if ttl else 0)
        return Etag(self._etag)


class Shell:
    """Calls `dstk` against the dict."""

    def __init__(self, client: DictClient) -> None:
        self.client = client

    def __call__(self, *arguments: str, stdin: bytes | None = None) -> Result:
        return CliRunner().invoke(app, [*arguments], input=stdin, env={"DSTK_ROUTER": "127.0.0.1:1", "COLUMNS": "160"})


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch) -> Shell:
    client = DictClient()

    @asynccontextmanager
    async def fake(_target: Target, _mode: str = "gateway") -> AsyncIterator[DictClient]:
        yield client

    monkeypatch.setattr(Target, "client", fake)
    return Shell(client)
