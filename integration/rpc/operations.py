"""The operations that the tables are about, each on the same few records."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from kit.fake_store import FakeStore

from dstk_client import Client
from dstk_keytypes import Key, KeyRange

HERE, NEW = Key.text("here"), Key.text("new")
"""A key with a record, and one without."""
RECORDS = [(Key.text(name), b"bulk") for name in ("a", "b", "c")]
EVERYTHING = KeyRange(b"", None)
ETAG = 1


def filled() -> FakeStore:
    """A store with the record that is there at the start; nothing has had an effect yet."""
    store = FakeStore()
    assert store.put(HERE, b"old") == ETAG
    store.effects.clear()
    return store


@dataclass(frozen=True, slots=True)
class Operation:
    """What a caller does. `check`: whether the outcome is the right one when all has gone well."""

    name: str
    call: Callable[[Client], Awaitable[object]]
    check: Callable[[object], object]


async def _scan(client: Client) -> object:
    return [record.key async for record in client.scan(EVERYTHING)]


GET = Operation("get", lambda client: client.get(HERE), lambda record: record and record.value == b"old")
SCAN = Operation("scan", _scan, lambda keys: keys == [HERE])
PAGE = Operation(
    "scan_page",
    lambda client: client.scan_page(EVERYTHING, 10),
    lambda page: [record.key for record in page.records] == [HERE],
)
PUT = Operation("put", lambda client: client.put(HERE, b"v"), lambda etag: etag > ETAG)
DELETE = Operation("delete", lambda client: client.delete(HERE), lambda was_there: was_there is True)
BULK = Operation(
    "bulk_insert", lambda client: client.bulk_insert(RECORDS), lambda result: result.inserted == len(RECORDS)
)
PUT_IF_ABSENT = Operation("put_if_absent", lambda client: client.put(NEW, b"v", if_absent=True), lambda etag: etag > 0)
PUT_IF_ETAG = Operation("put_if_etag", lambda client: client.put(HERE, b"v", if_etag=ETAG), lambda etag: etag > ETAG)
DELETE_IF_ETAG = Operation(
    "delete_if_etag", lambda client: client.delete(HERE, if_etag=ETAG), lambda was_there: was_there is True
)

READS = (GET, SCAN, PAGE)
BLIND = (PUT, DELETE, BULK, PUT_IF_ABSENT)
"""Writes that must not be repeated when it is not known whether they were done. "If absent" is one of them: somebody may have
deleted the record of the first try.
"""
CONDITIONAL = (PUT_IF_ETAG, DELETE_IF_ETAG)
WRITES = (*BLIND, *CONDITIONAL)
ALL = (*READS, *WRITES)
