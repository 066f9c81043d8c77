"""What was done to partitions lately, and what of it must stay: the reason why the controller neither flaps nor undoes."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Final

from dstk_cluster.overrides import ADOPTED, Override, present_nodes
from dstk_keytypes import NodeId, PartitionId
from dstk_storage.domain.controller.model import Action, Deed, Situation

OVERRIDE_SECONDS: Final = 24 * 3600
"""How long an override holds."""
RESHAPED_SECONDS: Final = 600
"""What was split is not merged for so long, and the reverse."""
MOVED_SECONDS: Final = 300
"""What was moved or switched is not moved or switched again for balance for so long."""

_MOVES: Final = frozenset({Action.ADD_REPLICA, Action.REMOVE_REPLICA})


def outdated(override: Override, now_ms: int) -> bool:
    """Whether a override does not count any more, whatever the nodes."""
    return now_ms - override.at_ms > OVERRIDE_SECONDS * 1000


class Memory:
    """Answers by partition. Clocks of nodes differ: what seems to come from the future was done just now."""

    def __init__(self, situation: Situation) -> None:
        self._now_ms = situation.now_ms
        self._deeds: dict[PartitionId, list[Deed]] = defaultdict(list)
        self._overrides: dict[PartitionId, list[Override]] = defaultdict(list)
        for deed in sorted(situation.deeds, key=lambda deed: -deed.at_ms):
            for partition in {deed.partition, deed.upper or deed.partition}:
                self._deeds[partition].append(deed)
        for override in situation.overrides:
            if not outdated(override, self._now_ms):
                self._overrides[override.partition].append(override)
        limit = situation.settings.gone_seconds
        expected = {node for node, seconds in situation.gone.items() if seconds < limit}
        self._nodes = present_nodes(situation.map) | expected

    def split_lately(self, partition: PartitionId) -> bool:
        """It must not be merged."""
        return self._lately(partition, {Action.SPLIT}, RESHAPED_SECONDS)

    def merged_lately(self, partition: PartitionId) -> bool:
        """It must not be split."""
        return self._lately(partition, {Action.MERGE}, RESHAPED_SECONDS)

    def moved_lately(self, partition: PartitionId) -> bool:
        """Its replicas must not be moved for balance."""
        return self._lately(partition, _MOVES, MOVED_SECONDS)

    def transferred_recently(self, partition: PartitionId) -> bool:
        """Its primary must not be switched for balance."""
        return self._lately(partition, {Action.SWITCH_PRIMARY}, MOVED_SECONDS)

    def successions(self, partition: PartitionId) -> list[tuple[NodeId, NodeId]]:
        """(new, old), newest first: replicas that were added to take the place of others."""
        return [
            (deed.node, deed.replaces)
            for deed in self._deeds.get(partition, ())
            if deed.action is Action.ADD_REPLICA and deed.node is not None and deed.replaces is not None
        ]

    def placement_is_overridden(self, partition: PartitionId) -> bool:
        """Balance must leave it alone: an operator did something to it, and the nodes are still those of then."""
        return any(
            override.action != ADOPTED and self._same_nodes(override) for override in self._overrides.get(partition, ())
        )

    def boundary_is_overridden(self, partition: PartitionId) -> bool:
        """It must not be merged. A change of nodes frees no boundary: people split first and add nodes for it then."""
        return any(
            override.kind == "boundary" or self._same_nodes(override) for override in self._overrides.get(partition, ())
        )

    def merge_is_overridden(self, partition: PartitionId) -> bool:
        """It must not be split: an operator merged it."""
        return any(override.action == Action.MERGE for override in self._overrides.get(partition, ()))

    def surplus_is_overridden(self, partition: PartitionId) -> bool:
        """It may have more replicas than the settings say: an operator added one."""
        return any(
            override.action == Action.ADD_REPLICA and self._same_nodes(override)
            for override in self._overrides.get(partition, ())
        )

    def emptied(self, partition: PartitionId) -> NodeId | None:
        """The node from which an operator removed its replica: the last to be given one again."""
        return next((c.subject for c in self._overrides.get(partition, ()) if c.action == Action.REMOVE_REPLICA), None)

    def _same_nodes(self, override: Override) -> bool:
        return override.nodes == self._nodes

    def _lately(self, partition: PartitionId, actions: Iterable[Action], seconds: float) -> bool:
        since = self._now_ms - seconds * 1000
        return any(deed.action in actions and deed.at_ms > since for deed in self._deeds.get(partition, ()))
