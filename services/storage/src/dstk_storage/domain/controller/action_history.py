"""Recent actions and overrides: the reason why the controller neither flaps nor undoes what operators did."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Final

from dstk_cluster.overrides import ADOPTED, Override, present_nodes
from dstk_keytypes import NodeId, PartitionId
from dstk_storage.domain.controller.model import Action, ActionRecord, Situation

OVERRIDE_SECONDS: Final = 24 * 3600
"""How long an override holds."""
RESHAPED_SECONDS: Final = 600
"""For this long, a partition that was split is not merged, and one that was merged is not split."""
MOVED_SECONDS: Final = 300
"""For this long, balance does not move a replica, or transfer a primary, of the same partition again."""

_MOVES: Final = frozenset({Action.ADD_REPLICA, Action.REMOVE_REPLICA})


def expired(override: Override, now_ms: int) -> bool:
    """Whether an override has reached its age limit."""
    return now_ms - override.at_ms > OVERRIDE_SECONDS * 1000


def ends(records: Iterable[ActionRecord], overrides: Iterable[Override]) -> Iterator[int]:
    """Yields the times at which a record or an override stops counting, in Unix ms. They are in no order."""
    for record in records:
        yield record.at_ms + MOVED_SECONDS * 1000
        yield record.at_ms + RESHAPED_SECONDS * 1000
    for override in overrides:
        yield override.at_ms + OVERRIDE_SECONDS * 1000 + 1


class ActionHistory:
    """Answers by partition. Clocks of nodes differ: an action with a time in the future counts as just done."""

    def __init__(self, situation: Situation) -> None:
        self._now_ms = situation.now_ms
        self._records: dict[PartitionId, list[ActionRecord]] = defaultdict(list)
        self._overrides: dict[PartitionId, list[Override]] = defaultdict(list)
        for record in sorted(situation.records, key=lambda record: -record.at_ms):
            for partition in {record.partition, record.upper or record.partition}:
                self._records[partition].append(record)
        for override in situation.overrides:
            if not expired(override, self._now_ms):
                self._overrides[override.partition].append(override)
        limit = situation.settings.gone_seconds
        expected = {node for node, seconds in situation.gone.items() if seconds < limit}
        self._nodes = present_nodes(situation.map) | expected

    def split_recently(self, partition: PartitionId) -> bool:
        """Whether the partition was split recently and must not be merged."""
        return self._recently(partition, {Action.SPLIT}, RESHAPED_SECONDS)

    def merged_recently(self, partition: PartitionId) -> bool:
        """Whether the partition was merged recently and must not be split."""
        return self._recently(partition, {Action.MERGE}, RESHAPED_SECONDS)

    def moved_recently(self, partition: PartitionId) -> bool:
        """Whether a replica was added or removed recently, so that balance must not move one."""
        return self._recently(partition, _MOVES, MOVED_SECONDS)

    def transferred_recently(self, partition: PartitionId) -> bool:
        """Whether the primary was transferred recently, so that balance must not transfer it."""
        return self._recently(partition, {Action.TRANSFER_PRIMARY}, MOVED_SECONDS)

    def replacements(self, partition: PartitionId) -> list[tuple[NodeId, NodeId]]:
        """Pairs (new, old), newest first: replicas that were added in exchange for others."""
        return [
            (record.node, record.replaces)
            for record in self._records.get(partition, ())
            if record.action is Action.ADD_REPLICA and record.node is not None and record.replaces is not None
        ]

    def placement_is_overridden(self, partition: PartitionId) -> bool:
        """Whether balance must leave the partition alone: an operator changed it, and the set of nodes is still the same."""
        return any(each.action != ADOPTED and self._same_nodes(each) for each in self._overrides.get(partition, ()))

    def boundary_is_overridden(self, partition: PartitionId) -> bool:
        """Whether the partition must not be merged.

        A boundary override holds when nodes come or go: operators split first and add nodes afterwards.
        """
        return any(each.kind == "boundary" or self._same_nodes(each) for each in self._overrides.get(partition, ()))

    def merge_is_overridden(self, partition: PartitionId) -> bool:
        """Whether an operator merged the partition, so that it must not be split."""
        return any(each.action == Action.MERGE for each in self._overrides.get(partition, ()))

    def surplus_is_overridden(self, partition: PartitionId) -> bool:
        """Whether an operator added a replica, so that the partition may have more than the settings say."""
        return any(
            each.action == Action.ADD_REPLICA and self._same_nodes(each) for each in self._overrides.get(partition, ())
        )

    def removed_from(self, partition: PartitionId) -> NodeId | None:
        """The node from which an operator removed a replica: the least preferred target for a new one."""
        overrides = self._overrides.get(partition, ())
        return next((each.subject for each in overrides if each.action == Action.REMOVE_REPLICA), None)

    def _same_nodes(self, override: Override) -> bool:
        return override.nodes == self._nodes

    def _recently(self, partition: PartitionId, actions: Iterable[Action], seconds: float) -> bool:
        since = self._now_ms - seconds * 1000
        return any(record.action in actions and record.at_ms > since for record in self._records.get(partition, ()))
