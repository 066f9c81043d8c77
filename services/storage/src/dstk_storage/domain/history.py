"""Where a replica stands in the history of its partition."""

from bisect import bisect_right
from dataclasses import dataclass

from dstk_cluster.model import LogPosition

Position = LogPosition
"""The last write that a replica has; later ones are greater."""

START = Position(0, 0)


@dataclass(frozen=True, slots=True)
class History:
    """Which epoch each sequence number was written in: terms of (epoch, first sequence number), and the last number.

    Invariant: epochs and first numbers ascend strictly. So one sequence number has one epoch, and two replicas of which one's
    position lies in the other's history have the same writes up to there.
    """

    terms: tuple[tuple[int, int], ...] = ()
    last: int = 0

    @property
    def position(self) -> Position:
        """Of the last write."""
        return Position(self.terms[-1][0], self.last) if self.terms else START

    def contains(self, position: Position) -> bool:
        """Whether the writes up to `position` are a beginning of this history."""
        if position == START:
            return True
        at = bisect_right(self.terms, position.seq, key=lambda term: term[1]) - 1
        return at >= 0 and self.terms[at][0] == position.epoch and position.seq <= self.last

    def extended(self, epoch: int, first: int, last: int) -> "History":
        """With the writes `first`..`last` of an epoch behind it."""
        assert self.last < first <= last, f"{first}..{last} does not follow {self.last}"
        if self.terms and self.terms[-1][0] == epoch:
            return History(self.terms, last)
        assert not self.terms or epoch > self.terms[-1][0], f"epoch {epoch} does not follow {self.terms[-1]}"
        return History((*self.terms, (epoch, first)), last)
