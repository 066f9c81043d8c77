"""What a plan was made from, and whether it still holds: so that an unchanged cluster is not planned for every second."""

from dataclasses import dataclass
from typing import Any, Final, Self

from dstk_storage.domain.controller.action_history import ends
from dstk_storage.domain.controller.model import Situation

OLDEST_MS: Final = 10_000
"""A plan is never older than this, because its reasons quote for how long a node has been gone."""


@dataclass(frozen=True, slots=True)
class PlanBasis:
    """The situation that a plan was made for, and when the plan ends although nothing happens (Unix ms)."""

    situation: Situation
    until_ms: int

    @classmethod
    def of(cls, situation: Situation) -> Self:
        """Returns the basis of a plan that is made for the situation now."""
        now_ms = situation.now_ms
        coming = (end for end in ends(situation.records, situation.overrides) if end > now_ms)
        return cls(situation, min((now_ms + OLDEST_MS, *coming)))

    def covers(self, current: Situation) -> bool:
        """Whether the plan still holds. It ends when anything that it depends on changes, or when the clock is set back."""
        in_time = self.situation.now_ms <= current.now_ms < self.until_ms
        return in_time and _inputs(self.situation) == _inputs(current)


def _inputs(situation: Situation) -> tuple[Any, ...]:
    """Everything that a plan depends on, apart from the time of day."""
    limit = situation.settings.gone_seconds
    return (
        situation.map,
        situation.settings,
        {node: seconds >= limit for node, seconds in situation.gone.items()},
        situation.read_only,
        situation.specs,
        situation.loads,
        situation.running,
        situation.backing_off,
        situation.records,
        situation.overrides,
    )
