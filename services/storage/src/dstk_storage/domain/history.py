"""Where a replica stands in the history of its partition."""

from bisect import bisect_right
from dataclasses import dataclass

from dstk_cluster.model import LogPosition

Position = LogPosition
"""The last write that a replica has; later ones are greater."""

START = Position(0, 0)


@dataclass(frozen=True, slots=True)
class History:
    """Which epoch each sequence number was written in: eras of (epoch, first sequence number), and the last number.

    Invariant: epochs and first numbers ascend strictly. So one sequence number has one epoch, and two replicas of which one's
    position lies in the other's history have the same writes up to there.
    """

    eras: tuple[tuple[int, int], ...] = ()
    last: int = 0

    @property
    def position(self) -> Position:
        """Of the last write."""
        return Position(self.eras[-1][0], self.last) if self.eras else START

    def contains(self, position: Position) -> bool:
        """Whether the writes up to `position` are a beginning of this history."""
        if position == START:
            return True
        at = bisect_right(self.eras, position.seq, key=lambda era: era[1]) - 1
        return at >= 0 and self.eras[at][0] == position.epoch and position.seq <= self.last

    def extended(self, epoch: int, first: int, last: int) -> "History":
        """With the writes `first`..`last` of an epoch behind it."""
        assert self.last < first <= last, f"{first}..{last} does not follow {self.last}"
        if self.eras and self.eras[-1][0] == epoch:
            return History(self.eras, last)
        assert not self.eras or epoch > self.eras[-1][0], f"epoch {epoch} does not follow {self.eras[-1]}"
        return History((*self.eras, (epoch, first)), last)
