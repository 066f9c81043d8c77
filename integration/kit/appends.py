"""Appends to replicas on other nodes, and the messages of them: well-formed ones, and those that are refused."""

from typing import Any

from dstk.v1 import replication_pb2 as pb
from dstk_keytypes import KeyRange, PartitionId
from dstk_storage.domain.history import START, Position
from dstk_storage.domain.layout import encode_record
from dstk_storage.domain.log import Entry
from dstk_storage.domain.replication.ports import Append

EVERYTHING = KeyRange()


def entry_after(after: int = 0, count: int = 1, size: int = 10) -> Entry:
    """`count` writes of epoch 1 behind sequence number `after`."""
    numbers = range(after + 1, after + 1 + count)
    previous = Position(1, after) if after else START
    keys = [b"key-%08d" % number for number in numbers]
    return Entry(previous, 1, after + 1, keys, [encode_record(b"v" * size, number, 5, 0) for number in numbers])


def append(number: int = 1, *entries: Entry) -> Append:
    """To a partition."""
    return Append(PartitionId(number), 1, EVERYTHING, entries or (entry_after(),))


def sized(*sizes: int) -> list[Entry]:
    """Entries of one record each, of so many bytes."""
    return [Entry(Position(1, n) if n else START, 1, n + 1, [b"k"], [bytes(size)]) for n, size in enumerate(sizes)]


def log_entry(**changes: Any) -> pb.LogEntry:
    usual: dict[str, Any] = {
        "previous": pb.Position(epoch=1, sequence=1),
        "epoch": 1,
        "first": 2,
        "keys": [b"k"],
        "records": [bytes(18)],
    }
    return pb.LogEntry(**(usual | changes))


def partition_append(**changes: Any) -> pb.PartitionAppend:
    usual: dict[str, Any] = {"partition_id": 1, "epoch": 1, "entries": [log_entry()]}
    return pb.PartitionAppend(**(usual | changes))


BAD_APPENDS = {
    "no id": [partition_append(partition_id=0)],
    "start above end": [partition_append(start=b"b", end=b"a")],
    "long bound": [partition_append(start=b"b" * 1025)],
    "twice": [partition_append(), partition_append()],
    "no keys": [partition_append(entries=[log_entry(keys=[], records=[])])],
    "a record too few": [partition_append(entries=[log_entry(keys=[b"k", b"l"])])],
    "empty key": [partition_append(entries=[log_entry(keys=[b""])])],
    "long key": [partition_append(entries=[log_entry(keys=[bytes(1025)])])],
    "no header": [partition_append(entries=[log_entry(records=[bytes(17)])])],
    "long record": [partition_append(entries=[log_entry(records=[bytes((1 << 20) + 27)])])],
    "no epoch": [partition_append(entries=[log_entry(epoch=0)])],
    "epoch goes back": [partition_append(entries=[log_entry(previous=pb.Position(epoch=2, sequence=1))])],
    "number goes back": [partition_append(entries=[log_entry(first=1)])],
}
