"""The rows of the history's tables: slots, their figures, and the axes that they share."""

import hashlib
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np

from dstk_metrics.adapters import history_codec as codec
from dstk_metrics.domain.figures import HISTORY, Figure
from dstk_metrics.domain.history.slots import Slot
from dstk_metrics.domain.history.tiers import SlotKey

SCHEMA = (
    # `written`: of SlotKey.
    """CREATE TABLE slots (
        written INTEGER PRIMARY KEY, begin_ms INTEGER NOT NULL, tier INTEGER NOT NULL, axis INTEGER NOT NULL REFERENCES axes
    )""",
    "CREATE INDEX slots_by_axis ON slots (axis)",
    # Where ranges start: most slots share that with the slot before. digest: BLAKE2b of body. No id is used twice, so that an
    # axis in memory is never another one than on disk.
    "CREATE TABLE axes (id INTEGER PRIMARY KEY AUTOINCREMENT, digest BLOB NOT NULL UNIQUE, body BLOB NOT NULL)",
    # A figure of a slot. id: written * 16 + number of the figure; + 0: for how long each range is known.
    "CREATE TABLE figures (id INTEGER PRIMARY KEY, body BLOB NOT NULL)",
)
# A row for each figure, since a matrix reads one of them: in a row for each slot, SQLite would walk through all before it.

TABLES = {b"slots", b"axes", b"figures"}

_IDS = 16
_KNOWN = 0
_MAX_POOL = 1_000_000


class Encoded:
    """A slot as it is stored."""

    def __init__(self, key: SlotKey, slot: Slot) -> None:
        self._key = key
        self._axis = codec.encode_axis(slot.starts)
        self._figures = {_KNOWN: codec.encode_known(slot.known_ms)}
        for figure, values in zip(HISTORY, slot.values, strict=True):
            if not np.isnan(values).all():
                self._figures[figure] = codec.encode_floats(values)

    def sizes(self) -> Iterator[int]:
        """Bytes of each row that is large."""
        yield len(self._axis)
        yield from map(len, self._figures.values())

    def insert(self, connection: sqlite3.Connection) -> None:
        """Adds the rows of a slot that is not there."""
        digest = hashlib.blake2b(self._axis, digest_size=16).digest()
        connection.execute("INSERT OR IGNORE INTO axes (digest, body) VALUES (?, ?)", (digest, self._axis))
        (axis,) = connection.execute("SELECT id FROM axes WHERE digest = ?", (digest,)).fetchone()
        row = (self._key.written, self._key.begin_ms, self._key.tier, axis)
        connection.execute("INSERT INTO slots (written, begin_ms, tier, axis) VALUES (?, ?, ?, ?)", row)
        rows = ((self._key.written * _IDS + number, body) for number, body in self._figures.items())
        connection.executemany("INSERT INTO figures (id, body) VALUES (?, ?)", rows)


def keys(connection: sqlite3.Connection) -> list[SlotKey]:
    """Returns all slots."""
    return [SlotKey(*row) for row in connection.execute("SELECT begin_ms, tier, written FROM slots")]


def delete(connection: sqlite3.Connection, gone: Iterable[SlotKey]) -> None:
    """Removes slots, as far as they exist, and the axes that no slot has any more."""
    for key in gone:
        first = key.written * _IDS
        connection.execute("DELETE FROM figures WHERE id BETWEEN ? AND ?", (first, first + _IDS - 1))
        connection.execute("DELETE FROM slots WHERE written = ?", (key.written,))
    connection.execute("DELETE FROM axes WHERE NOT EXISTS (SELECT 1 FROM slots WHERE axis = axes.id)")


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Commits at the end; after an error nothing is changed."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # SQLite ends a transaction by itself after some errors, a full disk for example.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


class Reader:
    """Reads slots. Axes remain in memory, each key once: five weeks of constant splits would take hundreds of MB otherwise."""

    def __init__(self) -> None:
        self._axes: dict[int, Sequence[bytes]] = {}
        self._pool: dict[bytes, bytes] = {}

    def axes_of(self, connection: sqlite3.Connection) -> Mapping[SlotKey, int]:
        """Returns the id of the axis of each slot, and forgets the axes that no slot has."""
        found = connection.execute("SELECT begin_ms, tier, written, axis FROM slots")
        axes = {SlotKey(*key): axis for *key, axis in found}
        used = set(axes.values())
        self._axes = {axis: starts for axis, starts in self._axes.items() if axis in used}
        if len(self._pool) > _MAX_POOL:
            self._axes.clear()
            self._pool.clear()
        return axes

    def slot(self, connection: sqlite3.Connection, key: SlotKey, axis: int, figures: Collection[Figure]) -> Slot:
        """Returns a slot with some of its figures. Raises Damaged."""
        starts = self._starts(connection, axis)
        known = codec.decode_known(_figure(connection, key, _KNOWN), len(starts))
        values = np.full((len(figures), len(starts)), np.nan, np.float32)
        for row, figure in enumerate(figures):
            if body := _figure(connection, key, figure):
                values[row] = codec.decode_floats(body, len(starts))
        return Slot(starts, values, known)

    def _starts(self, connection: sqlite3.Connection, axis: int) -> Sequence[bytes]:
        found = self._axes.get(axis)
        if found is None:
            starts = codec.decode_axis(_body(connection, "SELECT body FROM axes WHERE id = ?", axis))
            found = self._axes[axis] = [self._pool.setdefault(start, start) for start in starts]
        return found


def _figure(connection: sqlite3.Connection, key: SlotKey, number: int) -> bytes:
    return _body(connection, "SELECT body FROM figures WHERE id = ?", key.written * _IDS + number)


def _body(connection: sqlite3.Connection, query: str, row_id: int) -> bytes:
    """Returns a blob; empty: there is none."""
    row = connection.execute(query, (row_id,)).fetchone()
    return row[0] if row and isinstance(row[0], bytes) else b""
