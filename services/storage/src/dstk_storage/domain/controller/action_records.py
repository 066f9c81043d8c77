"""Converts between the steps and action records of the controller and the events of the cluster."""

from dstk_cluster.events import Event, EventLog, Origin, Outcome
from dstk_keytypes import NodeId, PartitionId
from dstk_storage.domain.controller.model import Action, ActionRecord, Step

_ACTIONS = frozenset(Action)


def to_record(event: Event) -> ActionRecord | None:
    """Returns the action that an event tells of; None if nothing was done to a partition.

    An event that is still RUNNING counts: the action may have been taken.
    """
    if event.action not in _ACTIONS or event.outcome is Outcome.FAILED or not event.partition:
        return None
    return ActionRecord(
        Action(event.action),
        PartitionId(event.partition),
        event.at_ms,
        NodeId(event.subject) if event.subject else None,
        PartitionId(event.upper) if event.upper else None,
        NodeId(event.replaces) if event.replaces else None,
    )


def to_event(events: EventLog, step: Step) -> Event:
    """Returns the event of a step that begins now."""
    return events.make(
        step.action,
        partition=step.partition,
        subject=step.node or "",
        origin=Origin.CONTROLLER,
        reason=step.reason,
        outcome=Outcome.RUNNING,
        upper=step.upper or 0,
        replaces=step.replaces or "",
    )
