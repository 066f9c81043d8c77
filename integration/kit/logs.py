"""Logs of partitions, and entries for them, as plain values."""

from dstk_storage.domain.history import START, Position
from dstk_storage.domain.log import MAX_TAIL_BYTES, Entry, PartitionLog

RECORD = b"\x01\x00record"


def entry(previous: Position, epoch: int, *keys: bytes, record: bytes = RECORD) -> Entry:
    """Returns an entry right behind a position: a write for each key."""
    return Entry(previous, epoch, previous.seq + 1, keys, [record] * len(keys))


def chain(*epochs: int, after: Position = START) -> list[Entry]:
    """Returns entries of two writes each that follow one another."""
    made: list[Entry] = []
    for epoch in epochs:
        made.append(entry(made[-1].position if made else after, epoch, b"k", b"l"))
    return made


def log_of(*entries: Entry, max_bytes: int = MAX_TAIL_BYTES) -> PartitionLog:
    """Returns a log that has accepted the entries, none of which is handed to the disk."""
    log = PartitionLog(max_bytes=max_bytes)
    for each in entries:
        log.append(each)
    return log


def put_on_disk(log: PartitionLog, *entries: Entry) -> None:
    """The disk applies entries that the log has accepted, one after another."""
    for each in entries:
        log.hand(each.position)
        log.applied(log.history.extended(each.epoch, each.first, each.position.seq))
