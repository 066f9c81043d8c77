"""The seam that metrics, traces, the event log and counters attach to: typed events, and who observes them.

Every part of DSTK takes an `Observer` when it is made, and tells it what happened as one event: a dataclass that carries the
figures, so that no observer asks the emitter for more, and that nobody changes once it is observed. The part that emits an
event defines it: rpc_events.py here, `dstk_storage.domain.events` in the storage node. An observer takes the kinds that it
knows and ignores the others, so that a new kind changes no observer.

An event costs 0.5 µs. So what happens for each operation is told once for each message, as counts (rpc_events.py), and
what happens for each record once for each group. Events that come with each call, message or engine write are not declared
frozen: to make one takes 0.1 µs then.
"""

import logging
from typing import Protocol

from typing_extensions import override

log = logging.getLogger(__name__)


class Event:
    """Base of all events."""

    __slots__ = ()


class Observer(Protocol):
    """Takes events."""

    def observe(self, event: Event) -> None:
        """Notes an event. Called on the event loop in the middle of the emitter's work: returns at once, does no I/O, and
        starts a task for what takes longer.
        """


class NullObserver(Observer):
    """Takes no notice."""

    @override
    def observe(self, event: Event) -> None:
        pass


NULL: Observer = NullObserver()
"""The default of everything that takes an observer."""


class Observers(Observer):
    """Gives each event to all members.

    Invariant: `observe` never raises, and a member that raises keeps no event from the others. The first failure of a member
    with a kind of event is logged with its traceback; those after it are only counted.
    """

    def __init__(self, *members: Observer) -> None:
        self._members = members
        self.failures = 0
        """How many times a member has raised."""
        self._reported: set[tuple[Observer, type[Event]]] = set()

    @override
    def observe(self, event: Event) -> None:
        for member in self._members:
            try:
                member.observe(event)
            except Exception as error:  # noqa: BLE001 - whatever a member does, the emitter goes on
                self._report(member, event, error)

    def _report(self, member: Observer, event: Event, error: Exception) -> None:
        self.failures += 1
        if (member, type(event)) in self._reported:
            return
        self._reported.add((member, type(event)))
        failed = type(member).__name__, type(event).__name__
        log.error("observer %s failed on %s; further failures of this kind are not logged", *failed, exc_info=error)
