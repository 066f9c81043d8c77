"""Writes down what operators did to partitions, so that the controller does not undo it."""

import logging
from collections.abc import Iterable

from dstk_cluster.events import EventLog, Origin
from dstk_cluster.overrides import Override, OverrideStore, present_nodes
from dstk_cluster.port import CoordinatorUnavailable
from dstk_cluster.view import ClusterView
from dstk_keytypes import NodeId, PartitionId

log = logging.getLogger(__name__)

_OVERRIDING = frozenset({"split", "merge", "add_replica", "remove_replica", "transfer_primary"})


class OperatorNotes:
    """Notes never fail: what was done is done."""

    def __init__(self, events: EventLog, overrides: OverrideStore, view: ClusterView) -> None:
        self._events, self._overrides, self._view = events, overrides, view

    async def note(self, action: str, partitions: Iterable[int], subject: str = "", reason: str = "") -> None:
        """`action` was done to the first of `partitions`; of a split the second is the new one."""
        first, *others = map(PartitionId, partitions)
        event = self._events.make(
            action,
            partition=first,
            subject=subject,
            origin=Origin.OPERATOR,
            reason=reason or "asked for",
            upper=others[0] if others else 0,
        )
        log.info("operator: %s", action, extra={"partition": int(first), "subject": subject, "reason": event.reason})
        if action in _OVERRIDING:
            await self._choose(action, [first, *others], subject, event.at_ms)
        await self._events.append(event)

    async def _choose(self, action: str, partitions: list[PartitionId], subject: str, at_ms: int) -> None:
        current = self._view.current
        nodes = frozenset() if current is None else present_nodes(current)
        node = NodeId(subject) if subject else None
        try:
            await self._overrides.keep(Override(number, action, at_ms, node, nodes) for number in partitions)
        except CoordinatorUnavailable as error:
            extra = {"partitions": list(map(int, partitions)), "action": action, "error": str(error)}
            log.warning("an override could not be written: the controller may undo it", extra=extra)
