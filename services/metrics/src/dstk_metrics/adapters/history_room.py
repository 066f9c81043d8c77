"""The history's file stays within its bytes: old slots are dropped first, and the file shrinks when it is too large."""

import sqlite3
from collections.abc import Collection

from dstk_metrics.adapters import history_rows as rows
from dstk_metrics.adapters.history_rows import Encoded
from dstk_metrics.domain.history.tiers import oldest_first

_SPARE_BYTES = 256 << 10
"""For the index of the log that SQLite keeps beside the file, and for pages that are not full."""

_STEP_PAGES = 256
"""How many pages are moved at once when the file shrinks: they go through the log."""


class Room:
    """What is written goes into SQLite's log, and from there into the file: room for it is needed twice."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes - _SPARE_BYTES

    def make(self, connection: sqlite3.Connection, slots: Collection[Encoded]) -> None:
        """Empties the log and makes room for slots."""
        _checkpoint(connection)
        page = _number(connection, "page_size")
        needed = sum((size // page + 1) * page for slot in slots for size in slot.sizes())
        self._drop(connection, page, self._limit_bytes - 2 * needed)
        self._shrink(connection, page, self._limit_bytes - needed)

    @staticmethod
    def _drop(connection: sqlite3.Connection, page: int, limit: int) -> None:
        """Drops slots until the pages in use are within the limit, or none are left."""
        if _used(connection) * page <= limit:
            return
        with rows.transaction(connection):
            for key in oldest_first(rows.keys(connection)):
                rows.delete(connection, [key])
                if _used(connection) * page <= limit:
                    break
        _checkpoint(connection)

    @staticmethod
    def _shrink(connection: sqlite3.Connection, page: int, limit: int) -> None:
        """Gives pages that are not in use back to the disk until the file is within the limit."""
        while _number(connection, "freelist_count") and _number(connection, "page_count") * page > limit:
            # executescript, since execute ends the statement after its first page
            connection.executescript(f"PRAGMA incremental_vacuum({_STEP_PAGES})")
            _checkpoint(connection)


def _checkpoint(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _used(connection: sqlite3.Connection) -> int:
    return _number(connection, "page_count") - _number(connection, "freelist_count")


def _number(connection: sqlite3.Connection, pragma: str) -> int:
    return int(connection.execute(f"PRAGMA {pragma}").fetchone()[0])
