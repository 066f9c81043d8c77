"""The file of the history: one process has it, in a format that this program knows; a damaged one is kept aside."""

import fcntl
import logging
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

from dstk_metrics.adapters.history_rows import SCHEMA, TABLES, transaction
from dstk_metrics.ports import HistoryLost, HistoryRefused, HistoryUnavailable
from dstk_service.logs.fields import LogFields

log = logging.getLogger(__name__)

SCHEMA_VERSION = 1
"""Kept in the file as `user_version`."""

NAME = "history.sqlite"
PAGE_BYTES = 8_192

MAX_KEPT_ASIDE = 3
"""The newest damaged files are kept: a disk that damages every file must not fill up with them."""

_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CONSTRAINT}
"""What SQLite says of a file that is not well-formed, or that contradicts itself."""

_PASSING = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
}
"""What may be gone later: no space, an error of the disk, another program that reads the file."""


class HistoryFile:
    """The history's file in a data directory, which this process has locked."""

    def __init__(self, directory: Path, now_ms: Callable[[], int]) -> None:
        self.path = directory / NAME
        self._now_ms = now_ms
        self._lock: int | None = None

    def lock(self) -> None:
        """Creates and locks the directory. Raises HistoryRefused."""
        directory = self.path.parent
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(directory / "LOCK", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.unlock()
            raise HistoryRefused(
                f"data directory {str(directory)!r} is in use by another metrics service. Stop that process, or give this one "
                "a directory of its own with --data-dir"
            ) from None
        except OSError as error:
            raise HistoryRefused(
                f"cannot use data directory {str(directory)!r}: {error}. Give another with --data-dir, or mend its rights"
            ) from error

    def unlock(self) -> None:
        """Gives the directory up."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def open(self) -> sqlite3.Connection:
        """Opens the file, or makes a new one. Raises HistoryRefused for a newer format, HistoryUnavailable and HistoryLost."""
        with self.judged(), ExitStack() as on_failure:
            connection = on_failure.enter_context(closing(sqlite3.connect(self.path, isolation_level=None)))
            connection.text_factory = bytes  # a column of another type is damage, and no text to decode
            is_new = self._check(connection)
            self._prepare(connection)
            if is_new:
                self._create(connection)
            on_failure.pop_all()
            return connection

    @contextmanager
    def judged(self, disconnect: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Turns errors of SQLite into those of the port. A damaged file is moved aside, after `disconnect`. Errors that are
        faults of the program pass.
        """
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if code in _PASSING:
                raise HistoryUnavailable(f"{self.path}: {error}") from error
            if code in _DAMAGED:
                disconnect()
                self._put_aside(str(error))
            raise

    def size_bytes(self) -> int:
        """Bytes of the file and of what SQLite keeps beside it."""
        total = 0
        for path in self._files():
            with suppress(OSError):  # SQLite may have removed it just now
                total += path.stat().st_size
        return total

    def _check(self, connection: sqlite3.Connection) -> bool:
        """Whether the file is new. Raises HistoryRefused, HistoryLost."""
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > SCHEMA_VERSION:
            raise HistoryRefused(
                f"history file {str(self.path)!r} has format version {version}; this program knows {SCHEMA_VERSION}. Run the "
                "version of DSTK that wrote it, or a newer one; or move the file away to begin a new history"
            )
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        if not (tables >= TABLES if version else not tables):
            connection.close()
            self._put_aside(f"it has the tables {sorted(tables)}")
        return bool(version == 0)

    @staticmethod
    def _prepare(connection: sqlite3.Connection) -> None:
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        # An fsync for each commit, once a minute: a power cut costs no minute that was written.
        connection.execute("PRAGMA synchronous = FULL")
        # The store does it before each write, so that an error of it comes when nothing was changed yet.
        connection.execute("PRAGMA wal_autocheckpoint = 0")

    @staticmethod
    def _create(connection: sqlite3.Connection) -> None:
        with transaction(connection):
            for statement in SCHEMA:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def _put_aside(self, why: str) -> NoReturn:
        time = datetime.fromtimestamp(self._now_ms() / 1000, UTC).strftime("%Y%m%dT%H%M%SZ")
        target = self.path.with_name(f"{NAME}.damaged-{time}")
        number = 1
        while target.exists():
            number += 1
            target = self.path.with_name(f"{NAME}.damaged-{time}-{number}")
        try:
            self.path.replace(target)
            for path in (*self._files(), *self._kept_aside()[:-MAX_KEPT_ASIDE]):
                path.unlink(missing_ok=True)
        except OSError as error:
            raise HistoryUnavailable(f"{self.path} is damaged and cannot be moved aside: {error}") from error
        log.warning(
            "the history is damaged: the file is kept aside, a new history begins",
            extra=LogFields(action="history_damaged", path=str(target), error=why),
        )
        raise HistoryLost(f"{self.path} was damaged: {why}")

    def _kept_aside(self) -> list[Path]:
        """Damaged files, in the order in which they were moved, whatever the clock of their names said."""
        return sorted(self.path.parent.glob(f"{NAME}.damaged-*"), key=lambda path: path.stat().st_ctime_ns)

    def _files(self) -> list[Path]:
        return [self.path, self.path.with_name(f"{NAME}-wal"), self.path.with_name(f"{NAME}-shm")]
