"""The controller's settings, plan and events as tables and as JSON."""

from collections.abc import Iterable
from typing import Any, Final

from rich.table import Table

from dstk.v1 import admin_pb2
from dstk_cli.messages import as_json, key_or_none, word
from dstk_cli.operate import settings as texts
from dstk_cli.tables import Columns, listing
from dstk_cli.untrusted import as_markup
from dstk_service import figures
from dstk_service.controller_settings import BOUNDS

_STEP_STATES, _ORIGINS = admin_pb2.StepState.DESCRIPTOR, admin_pb2.EventOrigin.DESCRIPTOR
_OUTCOMES = admin_pb2.EventOutcome.DESCRIPTOR
_COLOURS: Final = {"running": "green", "blocked": "yellow", "failed": "red"}
_TO_THE_SECOND: Final = len("2026-11-26T12:34:31")


def settings(values: admin_pb2.ControllerSettings, changed: Iterable[str] = ()) -> Table:
    """Returns a table of the settings; the values of `changed` ones are green."""
    columns: Columns[str] = {
        "setting": str,
        ">value": lambda name: (
            f"[green]{texts.shown(values, name)}[/]" if name in changed else texts.shown(values, name)
        ),
        "meaning": lambda name: f"[dim]{BOUNDS[name].meaning}[/]",
    }
    return listing(columns, BOUNDS, spare=("meaning",), prose="meaning")


def counted(steps: Iterable[admin_pb2.PlannedStep]) -> tuple[int, int]:
    """Returns how many steps run or are next, and how many problems are blocked."""
    states = [step.state == admin_pb2.STEP_STATE_BLOCKED for step in steps]
    return states.count(False), states.count(True)


_PLAN: Columns[tuple[int, admin_pb2.PlannedStep]] = {
    ">": lambda step: str(step[0]),
    "state": lambda step: _coloured(word(_STEP_STATES, step[1].state)),
    "step": lambda step: as_markup(step[1].action) or "-",
    ">partition": lambda step: str(step[1].partition_id),
    "node": lambda step: as_markup(step[1].node) or "-",
    "key": lambda step: as_markup(key_or_none(step[1].at) or "-"),
    "reason": lambda step: as_markup(step[1].reason),
}
_EVENTS: Columns[admin_pb2.Event] = {
    "time": lambda event: f"{figures.timestamp(event.at_ms)[:_TO_THE_SECOND]}Z",
    "node": lambda event: as_markup(event.node),
    "origin": lambda event: word(_ORIGINS, event.origin) or "-",
    "event": lambda event: as_markup(event.action),
    ">partition": lambda event: str(event.partition_id or "-"),
    "subject": lambda event: as_markup(event.subject) or "-",
    "outcome": lambda event: _coloured(word(_OUTCOMES, event.outcome)),
    "reason": lambda event: as_markup("; ".join(filter(None, (event.reason, event.error)))) or "-",
}


def plan(steps: Iterable[admin_pb2.PlannedStep]) -> Table:
    """Returns a table of the steps, numbered in order."""
    return listing(_PLAN, enumerate(steps, 1), spare=("key", "state"), prose="reason")


def events(found: Iterable[admin_pb2.Event]) -> Table:
    """Returns a table of the events, with times to the second."""
    return listing(_EVENTS, found, spare=("node", "origin", "outcome", "subject", "partition"), prose="reason")


def event_line(event: admin_pb2.Event) -> str:
    """Returns an event as one line of markup."""
    _, *cells = (cell(event) for cell in _EVENTS.values())
    return f"[dim]{figures.timestamp(event.at_ms)}[/]  {'  '.join(cell for cell in cells if cell != '-')}"


def event_json(event: admin_pb2.Event) -> dict[str, Any]:
    """Returns an event as one object."""
    return {"at": figures.timestamp(event.at_ms), **as_json(event)}


def _coloured(name: str | None) -> str:
    return f"[{_COLOURS[name]}]{name}[/]" if name in _COLOURS else name or "-"
