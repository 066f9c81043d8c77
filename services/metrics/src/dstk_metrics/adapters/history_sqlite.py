"""The history in SQLite. docs/design.md says why SQLite."""

import logging
import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from typing_extensions import override

from dstk_metrics.adapters import history_rows as rows
from dstk_metrics.adapters.history_codec import Damaged
from dstk_metrics.adapters.history_file import HistoryFile
from dstk_metrics.adapters.history_room import Room
from dstk_metrics.domain.figures import HISTORY, Figure
from dstk_metrics.domain.history.slots import Slot
from dstk_metrics.domain.history.tiers import SlotKey
from dstk_metrics.ports import HistoryStore
from dstk_service.logs.fields import LogFields

log = logging.getLogger(__name__)


class SqliteHistoryStore(HistoryStore):
    """Slots in the file history.sqlite of a data directory, which takes at most `limit_bytes`. Use as a context manager.

    All calls come from one thread, which SQLite checks. A file that could not be opened is opened by a later call.
    """

    def __init__(self, directory: Path, limit_bytes: int, now_ms: Callable[[], int]) -> None:
        self._file = HistoryFile(directory, now_ms)
        self._room = Room(limit_bytes)
        self._reader = rows.Reader()
        self._connection: sqlite3.Connection | None = None

    def __enter__(self) -> Self:
        """Locks the directory. Raises HistoryRefused."""
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        """Closes the file and gives the directory up."""
        self.close()

    @override
    def open(self) -> None:
        self._file.lock()

    @override
    def stored(self) -> Collection[SlotKey]:
        with self._connected() as connection:
            return rows.keys(connection)

    @override
    def read(self, keys: Collection[SlotKey]) -> Mapping[SlotKey, Slot]:
        return self._read(keys, HISTORY)

    @override
    def read_figure(self, keys: Collection[SlotKey], figure: Figure) -> Mapping[SlotKey, Slot]:
        return self._read(keys, [figure])

    @override
    def write(self, put: Mapping[SlotKey, Slot], removed: Collection[SlotKey]) -> None:
        encoded = [rows.Encoded(key, slot) for key, slot in put.items()]
        with self._connected() as connection:
            self._room.make(connection, encoded)
            with rows.transaction(connection):
                rows.delete(connection, [*removed, *put])
                for slot in encoded:
                    slot.insert(connection)

    @override
    def size_bytes(self) -> int:
        return self._file.size_bytes()

    @override
    def close(self) -> None:
        self._disconnect()
        self._file.unlock()

    def _read(self, keys: Collection[SlotKey], figures: Collection[Figure]) -> Mapping[SlotKey, Slot]:
        found: dict[SlotKey, Slot] = {}
        with self._connected() as connection:
            axes = self._reader.axes_of(connection)
            for key in (key for key in keys if key in axes):
                try:
                    found[key] = self._reader.slot(connection, key, axes[key], figures)
                except Damaged as error:
                    log.warning("a slot of the history is damaged: dropped", extra=LogFields(error=str(error)))
                    with rows.transaction(connection):
                        rows.delete(connection, [key])
        return found

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        """Opens the file if necessary, and turns errors of SQLite into those of the port."""
        with self._file.judged(self._disconnect):
            if self._connection is None:
                self._connection = self._file.open()
            yield self._connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        self._reader = rows.Reader()
        if connection is not None:
            connection.close()
