"""Where a replica stands in the log of its partition, and which terms that log has."""

from bisect import bisect_right
from dataclasses import dataclass
from typing import NamedTuple

from dstk_cluster.model import LogPosition

Position = LogPosition
"""The last write that a replica has; later ones are greater."""

START = Position(0, 0)


class Term(NamedTuple):
    """The writes of one epoch. As in Raft, but only terms in which something was written count."""

    epoch: int
    first: int
    """Sequence number of its first write."""


@dataclass(frozen=True, slots=True)
class History:
    """The epoch in which each sequence number was written: terms, and the last number.

    Invariant: epochs and first numbers ascend strictly. So one sequence number has one epoch, and if one replica's position is
    in the other's history, both have the same writes up to there.
    """

    terms: tuple[Term, ...] = ()
    last: int = 0

    @property
    def position(self) -> Position:
        """The last write."""
        return Position(self.terms[-1].epoch, self.last) if self.terms else START

    def contains(self, position: Position) -> bool:
        """Whether the writes up to `position` are a prefix of this history."""
        if position == START:
            return True
        at = bisect_right(self.terms, position.seq, key=lambda term: term.first) - 1
        return at >= 0 and self.terms[at].epoch == position.epoch and position.seq <= self.last

    def extended(self, epoch: int, first: int, last: int) -> "History":
        """This history, followed by the writes `first`..`last` of `epoch`."""
        assert self.last + 1 == first <= last, f"{first}..{last} does not follow {self.last}"
        if self.terms and self.terms[-1].epoch == epoch:
            return History(self.terms, last)
        assert not self.terms or epoch > self.terms[-1].epoch, f"epoch {epoch} does not follow {self.terms[-1]}"
        return History((*self.terms, Term(epoch, first)), last)
