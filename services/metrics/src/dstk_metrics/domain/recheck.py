"""Which nodes are asked again soon, and how often at most."""

from dataclasses import dataclass

from dstk_keytypes import NodeId

BURST = 6
"""A node may be asked so many times in a row: twice as often as it takes to make three reports of five new."""
REFILL_SECONDS = 5.0
"""After so long it may be asked once more."""


@dataclass(slots=True)
class _Allowance:
    left: float = BURST
    at: float = 0.0


class Recheck:
    """Nodes whose next report is wanted soon: a rate has no beginning yet, or a partition seems to become hot. Each may be
    asked in bursts only, so that a node whose load is always about a threshold costs no more than one report in REFILL_SECONDS.
    """

    def __init__(self) -> None:
        self._wanted: set[NodeId] = set()
        self._allowances: dict[NodeId, _Allowance] = {}

    def want(self, node: NodeId) -> None:
        """Another report of the node is wanted soon."""
        self._wanted.add(node)

    def due(self, now: float) -> list[NodeId]:
        """The nodes to ask at `now` (monotonic seconds)."""
        wanted, self._wanted = self._wanted, set()
        return [node for node in sorted(wanted) if self._allows(node, now)]

    def _allows(self, node: NodeId, now: float) -> bool:
        allowance = self._allowances.setdefault(node, _Allowance(at=now))
        allowance.left = min(BURST, allowance.left + (now - allowance.at) / REFILL_SECONDS)
        allowance.at = now
        if allowance.left < 1:
            return False
        allowance.left -= 1
        return True
