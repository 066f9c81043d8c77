"""What the domain needs from the world outside, as narrow protocols. Each has a real adapter and an in-memory twin."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar

T = TypeVar("T")


class EngineError(Exception):
    """The engine failed to read or write."""


class EngineCorruption(EngineError):
    """A block does not match its checksum."""


class Batch(Protocol):
    """Changes that are applied atomically, in the order given."""

    def put(self, key: bytes, value: bytes) -> None:
        """Sets `key`."""

    def delete(self, key: bytes) -> None:
        """Removes `key` if it is there."""


class Snapshot(Protocol):
    """The engine's content at one instant. All calls block."""

    def get(self, key: bytes) -> bytes | None:
        """The value, or None. Raises EngineCorruption, EngineError."""

    def iterate(self, start: bytes, stop: bytes) -> AbstractContextManager[Iterator[tuple[bytes, bytes]]]:
        """Pairs with start <= key < stop in order of keys, past the engine's cache."""


class Engine(Protocol):
    """An ordered, durable map from bytes to bytes. All calls block; they may come from any thread."""

    corruption: str
    """The first corrupt block that was found since the engine was made; empty: none."""

    def get(self, key: bytes) -> bytes | None:
        """The value, or None. Raises EngineCorruption, EngineError."""

    def batch(self) -> Batch:
        """A new, empty batch."""

    def write(self, batch: Batch) -> None:
        """Applies the batch whole and returns when it is on disk (fsync). After an EngineError its fate is unknown, and
        every later write fails until `reopen`.
        """

    def iterate(
        self, start: bytes, stop: bytes | None, *, reverse: bool = False, fill_cache: bool = True
    ) -> AbstractContextManager[Iterator[tuple[bytes, bytes]]]:
        """Pairs with start <= key < stop at one instant, in order of keys. Leave the context to free the snapshot."""

    def snapshot(self) -> AbstractContextManager[Snapshot]:
        """Everything as it is at this instant: what one `write` has changed is in it whole or not at all."""

    def approximate_size(self, start: bytes, stop: bytes) -> int:
        """Bytes on disk of the range, roughly; what was written lately may not count yet."""

    def overheads(self, start: bytes, stop: bytes) -> Iterator[tuple[bytes, int]]:
        """Where sizes of the range count bytes that no records take, in order: behind which key, and how many, roughly. Each
        step blocks. Raises EngineError.
        """

    def flush(self) -> None:
        """Sizes count everything that was written before, and `compact` meets it. Raises EngineError."""

    def compact(self, start: bytes, stop: bytes) -> None:
        """Rewrites what lies in the range, so that what was deleted takes no space; takes as long as it is large. Writes may go
        on meanwhile. Raises EngineError.
        """

    def reclaim(self) -> bool:
        """Deletes files that `compact` has replaced, and that were read at that time. Returns False when some may be left,
        because somebody still reads them. Raises EngineError.
        """

    def reopen(self) -> None:
        """Recovers from a failed write: reads back what is on disk and accepts writes again. Raises EngineError."""

    def reset(self, pairs: Mapping[bytes, bytes], *, keep: bool) -> str:
        """Puts a new engine with nothing but these pairs in the place of this one. A crash in between finds the one or the
        other whole, or none. `keep`: the old files stay; returns where they are then. No other call may be under way. Raises
        EngineError.
        """

    def close(self) -> None:
        """Ends all iterators and releases the directory. Can be called twice."""


class Offload(Protocol):
    """Runs a blocking call somewhere off the event loop."""

    def __call__(self, call: Callable[[], T], /) -> Awaitable[T]:
        """The call's result or exception."""


class Disk(Protocol):
    """The file system under the data directory."""

    def free_bytes(self) -> int:
        """Bytes that an unprivileged process may still write."""

    def capacity_bytes(self) -> int:
        """Size of the file system in bytes."""
