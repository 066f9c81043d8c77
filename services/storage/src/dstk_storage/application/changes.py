"""Which figures of a node's partitions have changed since an earlier answer. It keeps nothing for each caller."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Final, Generic, TypeVar
from uuid import uuid4

from dstk_keytypes import PartitionId

MAX_REMOVED: Final = 10_000
"""The most removed partitions that are remembered. A caller that has missed more of them receives everything."""

F = TypeVar("F")

Look = Callable[[int], AsyncIterator[Iterable[tuple[PartitionId, F]]]]
"""Reads the figures of all partitions as they are now, in chunks, for the version with this number."""


@dataclass(frozen=True, slots=True)
class Answer(Generic[F]):
    """`session` and `version` name it. `complete`: `figures` has all partitions, and the caller forgets what it knew; otherwise
    `figures` has those that have changed, and `removed` those that have left, since the version that the caller has.
    """

    session: str
    version: int
    complete: bool
    figures: list[tuple[PartitionId, F]]
    removed: list[PartitionId]


class Changes(Generic[F]):
    """Remembers the first version that had a partition's figures.

    Invariant: an answer brings a caller who has the version that it named to the current figures.
    """

    def __init__(self, session: str = "") -> None:
        self.session = session or uuid4().hex
        self._begun = self._version = 0
        """Versions that were begun, and the newest that is whole."""
        self._complete_since = 0
        """No version before this one can be brought up to date: it is forgotten which partitions have left since."""
        self._figures: dict[PartitionId, tuple[F, int]] = {}
        self._removed: dict[PartitionId, int] = {}
        """The versions in which partitions left, ascending."""
        self._turn = asyncio.Lock()

    async def since(self, session: str, version: int, look: Look[F]) -> Answer[F]:
        """Returns what the caller that has this version lacks. Callers that wait at the same moment share a look, which begins
        after the last of them has come.
        """
        begun = self._begun
        async with self._turn:
            if self._version <= begun:
                await self._update(look)
            return self._answer(session, version)

    def _answer(self, session: str, version: int) -> Answer[F]:
        known = session == self.session and self._complete_since <= version <= self._version
        since = version if known else 0
        changed = [(partition, figures) for partition, (figures, at) in self._figures.items() if at > since]
        removed = [partition for partition, at in self._removed.items() if at > since] if known else []
        return Answer(self.session, self._version, not known, changed, removed)

    async def _update(self, look: Look[F]) -> None:
        """What a look that is given up has noted counts as changed in the version that follows."""
        self._begun += 1
        version, known, seen = self._begun, self._figures, set[PartitionId]()
        async for chunk in look(version):
            for partition, figures in chunk:
                seen.add(partition)
                before = known.get(partition)
                if before is None or before[0] != figures:
                    known[partition] = figures, version
        self._forget(known.keys() - seen, version)
        self._version = version

    def _forget(self, left: Iterable[PartitionId], version: int) -> None:
        for partition in left:
            del self._figures[partition]
            self._removed.pop(partition, None)
            self._removed[partition] = version
        for partition in list(islice(self._removed, max(0, len(self._removed) - MAX_REMOVED))):
            self._complete_since = self._removed.pop(partition)
        for partition in self._figures.keys() & self._removed.keys():
            del self._removed[partition]
