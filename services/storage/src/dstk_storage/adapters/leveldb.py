"""The engine on LevelDB, through plyvel."""

import re
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, NoReturn, Self

import plyvel
from typing_extensions import override

from dstk_storage.adapters.engine_files import EngineFiles, discard
from dstk_storage.adapters.leveldb_figures import LevelDBFigures, last_keys, parse
from dstk_storage.adapters.open_readers import OpenReaders
from dstk_storage.ports import Batch, Engine, EngineCorruption, EngineError, Snapshot

_OF_THE_SYSTEM = re.compile(
    "Permission denied|Operation not permitted|Read-only file system|No space left|File too large|quota exceeded"
    "|Too many open files|Cannot allocate memory|Resource temporarily unavailable|already held by process"
)
"""What LevelDB says when the system refuses it something: no file is damaged then."""

_ABOUT_A_TABLE = re.compile(r"\.(ldb|sst)\b")

_BLOCK_BYTES = 4096
"""LevelDB's blocks have so many bytes, or one larger record."""


class EngineDamaged(EngineError):
    """The engine's files are missing or damaged, and it does not open; the message says which and how."""


@dataclass(frozen=True, slots=True)
class LevelDBOptions:
    """Sizes in bytes. The write buffer is held twice while one is flushed."""

    write_buffer: int = 16 << 20
    block_cache: int = 64 << 20
    max_open_files: int = 500
    bloom_bits: int = 10


class LevelDBEngine(Engine):
    """One LevelDB. Checksums are verified on every read, by compactions too: a corrupt block is noticed rather than served."""

    def __init__(self, path: Path, options: LevelDBOptions) -> None:
        """Opens the engine at the path. Raises EngineDamaged; EngineError when the system refuses it something."""
        self._files = EngineFiles(path)
        self._options = options
        self._db: Any = None
        self._readers = OpenReaders()
        self.corruption = ""
        self._writing = threading.Lock()
        self._failure = ""
        """Why the engine must be reopened before it accepts writes again; empty: it need not."""
        self._open()

    @classmethod
    def make(cls, path: Path, options: LevelDBOptions, pairs: Mapping[bytes, bytes]) -> Self:
        """A new engine with these pairs, where there is none. A crash in between leaves none. Raises EngineError."""
        EngineFiles(path).make(partial(_fill, options, pairs))
        return cls(path, options)

    @override
    def get(self, key: bytes) -> bytes | None:
        try:
            value: bytes | None = self._db.get(key, verify_checksums=True)
        except (plyvel.Error, RuntimeError) as error:
            self._raise(error)
        return value

    @override
    def batch(self) -> Batch:
        batch: Batch = self._db.write_batch(sync=True)
        return batch

    @override
    def write(self, batch: Batch) -> None:
        # One fsync for each call. LevelDB continues after a write that failed half-way, but its log is unreadable after that
        # point: further writes would be lost until it is reopened. The lock prevents a write before the failure is noted.
        with self._writing:
            if self._failure:
                raise EngineError(f"an earlier write failed: {self._failure}")
            try:
                batch.write()  # type: ignore[attr-defined]
            except (plyvel.Error, RuntimeError) as error:
                self._failure = _words(error)
                self._raise(error)

    @contextmanager
    @override
    def iterate(
        self, start: bytes, stop: bytes | None, *, reverse: bool = False, fill_cache: bool = True
    ) -> Iterator[Iterator[tuple[bytes, bytes]]]:
        options = {"start": start, "stop": stop, "fill_cache": fill_cache, "verify_checksums": True}
        reader = self._readers.begin()
        try:
            with closing(self._db.iterator(reverse=reverse, **options)) as iterator:
                yield self._mended(iterator, options) if reverse else iterator
        except (plyvel.Error, RuntimeError) as error:
            self._raise(error)
        finally:
            self._readers.end(reader)

    def _mended(
        self, iterator: Iterator[tuple[bytes, bytes]], options: dict[str, Any]
    ) -> Iterator[tuple[bytes, bytes]]:
        """Plyvel 1.5.1 finds nothing in reverse where a range has a single key, and that is its start."""
        first = next(iterator, None)
        if first is not None:
            whole: Iterator[tuple[bytes, bytes]] = chain((first,), iterator)
            return whole
        with closing(self._db.iterator(**options)) as forward:
            found: list[tuple[bytes, bytes]] = list(forward)
            return reversed(found)

    @contextmanager
    @override
    def snapshot(self) -> Iterator[Snapshot]:
        reader = self._readers.begin()
        try:
            with closing(self._db.snapshot()) as frozen:
                yield LevelDBSnapshot(frozen)
        except (plyvel.Error, RuntimeError) as error:
            self._raise(error)
        finally:
            self._readers.end(reader)

    @override
    def approximate_size(self, start: bytes, stop: bytes) -> int:
        # records in LevelDB's write buffer do not count
        return int(self._db.approximate_size(start, stop))

    @override
    def overheads(self, start: bytes, stop: bytes) -> Iterator[tuple[bytes, int]]:
        # LevelDB counts a table's index and filter behind its last key, with its last block
        for key in last_keys(self._property(b"leveldb.sstables")):
            if start <= key < stop:
                last = self.get(key)
                if last is None or len(last) < _BLOCK_BYTES:
                    yield key, max(0, self.approximate_size(key, key + b"\0") - _BLOCK_BYTES // 2)

    @override
    def flush(self) -> None:
        # LevelDB flushes its buffer before it compacts, even for a range below all keys
        self._compact(b"\0", b"\0")

    @override
    def compact(self, start: bytes, stop: bytes) -> None:
        # LevelDB compacts down to the lowest level that had files of the range before it flushed its buffer; the flushed
        # table may end below it: hence `flush`
        self._compact(start, stop)
        self._readers.compacted()

    @override
    def reclaim(self) -> bool:
        # LevelDB deletes files that nobody needs when it has flushed or compacted, never when the last reader has left
        is_all = not self._readers.has_older
        self.flush()
        return is_all

    def _compact(self, start: bytes, stop: bytes) -> None:
        """The next write reports a failure."""
        try:
            self._db.compact_range(start=start, stop=stop)
        except (plyvel.Error, RuntimeError) as error:
            self._raise(error)

    @override
    def reopen(self) -> None:
        # no other call may be in progress
        self.close()
        self._open()

    @override
    def reset(self, pairs: Mapping[bytes, bytes], *, keep: bool) -> str:
        self.close()
        kept = self._files.put_aside()
        self._files.make(partial(_fill, self._options, pairs))
        self._open()
        self.corruption = ""
        if not keep:
            discard(kept)
        return kept if keep else ""

    def figures(self) -> LevelDBFigures:
        """Its levels and compactions at this moment. Raises EngineError."""
        return parse(self._property(b"leveldb.stats"), self._property(b"leveldb.sstables"))

    def _property(self, name: bytes) -> str:
        try:
            found: bytes = self._db.get_property(name)
        except (plyvel.Error, RuntimeError) as error:
            self._raise(error)
        return found.decode(errors="replace")

    @override
    def close(self) -> None:
        if self._db is not None:
            self._db.close()

    def _open(self) -> None:
        """Strict: a lenient LevelDB looks at no checksum when it compacts, and makes good blocks of bad ones. But a strict one
        does not open with a log whose last write was torn by a power failure. That write was not acknowledged, and a lenient
        LevelDB drops it; since it drops damaged writes in front of the last one as silently, the engine counts as corrupt.
        """
        if damage := self._files.damage():
            self.corruption = self.corruption or damage
            raise EngineDamaged(damage)
        try:
            self._open_whole()
        except plyvel.Error as error:
            why = _words(error)
            if _OF_THE_SYSTEM.search(why):
                raise EngineError(f"cannot open {str(self._files.path)!r}: {why}") from error
            self.corruption = self.corruption or why
            raise EngineDamaged(why) from error
        self._failure = ""

    def _open_whole(self) -> None:
        path = self._files.path
        try:
            self._db = _opened(path, self._options)
        except plyvel.CorruptionError as error:
            _opened(path, self._options, strict=False).close()
            self._db = _opened(path, self._options)
            self.corruption = _words(error)

    def _raise(self, error: Exception) -> NoReturn:
        """LevelDB's exception as one of ours; its iterators raise RuntimeError when the database was closed under them. A table
        that cannot be read is damage, unless the system says why.
        """
        text = _words(error)
        unreadable = _ABOUT_A_TABLE.search(text) and not _OF_THE_SYSTEM.search(text)
        if isinstance(error, plyvel.CorruptionError) or unreadable:
            self.corruption = self.corruption or text
            raise EngineCorruption(text) from error
        if isinstance(error, RuntimeError) and "closed" not in text.lower():
            raise error
        raise EngineError(text) from error


def _fill(options: LevelDBOptions, pairs: Mapping[bytes, bytes], path: Path) -> None:
    """Makes a database there with these pairs."""
    try:
        with closing(_opened(path, options, new=True)) as made, made.write_batch(sync=True) as batch:
            for key, value in pairs.items():
                batch.put(key, value)
    except plyvel.Error as error:
        raise EngineError(_words(error)) from error


def _opened(path: Path, options: LevelDBOptions, *, strict: bool = True, new: bool = False) -> Any:
    return plyvel.DB(
        str(path),
        create_if_missing=new,
        error_if_exists=new,
        paranoid_checks=strict,
        write_buffer_size=options.write_buffer,
        lru_cache_size=options.block_cache,
        max_open_files=options.max_open_files,
        bloom_filter_bits=options.bloom_bits,
        compression="snappy",
    )


def _words(error: Exception) -> str:
    """What LevelDB says; plyvel hands on its bytes."""
    first = error.args[0] if error.args else ""
    return (first.decode(errors="replace") if isinstance(first, bytes) else str(error)) or type(error).__name__


class LevelDBSnapshot(Snapshot):
    """A LevelDB snapshot. It raises LevelDB's errors; the engine translates them."""

    def __init__(self, frozen: Any) -> None:
        self._frozen = frozen

    @override
    def get(self, key: bytes) -> bytes | None:
        value: bytes | None = self._frozen.get(key, verify_checksums=True)
        return value

    @contextmanager
    @override
    def iterate(self, start: bytes, stop: bytes) -> Iterator[Iterator[tuple[bytes, bytes]]]:
        options = {"start": start, "stop": stop, "fill_cache": False, "verify_checksums": True}
        with closing(self._frozen.iterator(**options)) as iterator:
            yield iterator


def shorten_switch_interval() -> None:
    """Lets threads that return from LevelDB get the interpreter back after 0.5 ms of a busy event loop rather than 5."""
    sys.setswitchinterval(0.0005)
