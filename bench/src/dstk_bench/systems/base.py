"""The operations of a measured system. An adapter sets those that its system has; the others stay None."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dstk_bench.workload import Record, Workload


class UnavailableError(Exception):
    """A system that is not installed; the message names the missing program or package."""


@dataclass(frozen=True, slots=True)
class System:
    """A running system and how it is called. Absent operations are None.

    get(key) returns once the value is here; put(key, value) and bulk(chunk) once it is on disk; scan() reads every
    stored record, looks at each, and returns how many; route() returns how many lookups it did. Unary operations go
    around the client's coalescing.
    An `in_process` system answers before its caller can yield: several callers at once would say nothing.
    `as_key` and `as_chunk` turn the workload's bytes into what the client takes, before the clock starts.
    """

    name: str
    about: str
    load: Callable[[Sequence[Record]], Awaitable[None]] | None = None
    get: Callable[[Any], Awaitable[object]] | None = None
    put: Callable[[Any, bytes], Awaitable[object]] | None = None
    unary_get: Callable[[bytes], Awaitable[object]] | None = None
    unary_put: Callable[[bytes, bytes], Awaitable[object]] | None = None
    bulk: Callable[[Any], Awaitable[object]] | None = None
    scan: Callable[[], Awaitable[int]] | None = None
    route: Callable[[], Awaitable[int]] | None = None
    in_process: bool = False
    as_key: Callable[[bytes], Any] = bytes
    as_chunk: Callable[[list[Record]], Any] = list


@dataclass(frozen=True, slots=True)
class Place:
    """The directory for the files of a system, and the data to load."""

    directory: Path
    workload: Workload

    def folder(self, name: str) -> Path:
        """Makes a new subdirectory."""
        path = self.directory / name
        path.mkdir(parents=True)
        return path


Starter = Callable[[Place], AbstractAsyncContextManager[tuple[System, ...]]]
"""Starts a system, yields it (and its variants) empty and ready, and stops it. Raises UnavailableError if it is absent."""


@dataclass(frozen=True, slots=True)
class Provider:
    """A starter, and the names of the systems that it starts together."""

    names: tuple[str, ...]
    start: Starter
