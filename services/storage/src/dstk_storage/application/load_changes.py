"""The figures that the controller plans by, and which of them have changed since an earlier answer. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import uuid4

from dstk_keytypes import KeyRange, NodeId, PartitionId


class PartitionFigures(NamedTuple):
    """A partition that this node is the primary of. `operations`: reads and writes since the process started."""

    partition: PartitionId
    range: KeyRange
    bytes: int
    records: int
    operations: int
    silent: tuple[tuple[NodeId, float], ...]
    """Replicas on living nodes that are not in sync and do not answer, and for how many seconds."""


@dataclass(frozen=True, slots=True)
class LoadAnswer:
    """`session` and `version` name it. `complete`: `figures` has all partitions; otherwise only those that have changed."""

    session: str
    version: int
    complete: bool
    figures: list[PartitionFigures]


def _new_session() -> str:
    return uuid4().hex


@dataclass
class LoadChanges:
    """Remembers the first answer that had a partition's figures. It keeps nothing for each caller.

    Invariant: an answer that is not complete brings a caller who has the answer that it named to the current figures.
    """

    session: str = field(default_factory=_new_session)
    _version: int = 0
    _complete_since: int = 0
    """No answer before this one can be brought up to date: a partition has left since."""
    _figures: dict[PartitionId, tuple[PartitionFigures, int]] = field(default_factory=dict)

    def answer(self, current: Iterable[PartitionFigures], session: str, version: int) -> LoadAnswer:
        """Returns the figures that are not in the answer that the caller names, or all of them if it is too old."""
        self._update(current)
        known = session == self.session and self._complete_since <= version <= self._version
        since = version if known else 0
        changed = [figures for figures, at in self._figures.values() if at > since]
        return LoadAnswer(self.session, self._version, not known, changed)

    def _update(self, current: Iterable[PartitionFigures]) -> None:
        self._version += 1
        before, self._figures = self._figures, {}
        for figures in current:
            known = before.get(figures.partition)
            self._figures[figures.partition] = (
                known if known is not None and known[0] == figures else (figures, self._version)
            )
        if not before.keys() <= self._figures.keys():
            self._complete_since = self._version
