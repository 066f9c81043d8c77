"""Records what operators do to partitions, as overrides that the controller does not undo."""

import logging
from collections.abc import Iterable

from dstk_cluster.events import EventLog, Origin
from dstk_cluster.overrides import Override, OverrideStore, present_nodes
from dstk_cluster.port import CoordinatorUnavailable
from dstk_cluster.view import CurrentMap
from dstk_keytypes import NodeId, PartitionId
from dstk_service.logs.fields import LogFields
from dstk_storage.domain.controller.model import Action

log = logging.getLogger(__name__)

_OVERRIDES = frozenset(Action)
"""Actions that the controller takes, too, and might otherwise undo."""


class OperatorActions:
    """Records operators' actions. Recording never fails the action, which has been done."""

    def __init__(self, events: EventLog, overrides: OverrideStore, view: CurrentMap) -> None:
        self._events, self._overrides, self._view = events, overrides, view

    async def record(self, action: str, partitions: Iterable[int], subject: str = "", reason: str = "") -> None:
        """Records `action` on the first of `partitions`; the second is the upper half of a split."""
        first, *others = map(PartitionId, partitions)
        event = self._events.make(
            action,
            partition=first,
            subject=subject,
            origin=Origin.OPERATOR,
            reason=reason,
            upper=others[0] if others else 0,
        )
        extra = LogFields(action=action, partition=first, node=subject, origin=Origin.OPERATOR, reason=event.reason)
        log.info("operator: %s", action, extra=extra)
        if action in _OVERRIDES:
            await self._override(action, [first, *others], subject, event.at_ms)
        await self._events.append(event)

    async def _override(self, action: str, partitions: list[PartitionId], subject: str, at_ms: int) -> None:
        current = self._view.current
        nodes = frozenset() if current is None else present_nodes(current)
        node = NodeId(subject) if subject else None
        try:
            await self._overrides.keep(Override(number, action, at_ms, node, nodes) for number in partitions)
        except CoordinatorUnavailable as error:
            extra = LogFields(partitions=partitions, lost_event=action, error=str(error))
            log.warning("an override could not be recorded: the controller may undo it", extra=extra)
