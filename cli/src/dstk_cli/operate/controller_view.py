"""The controller's settings, plan and events as tables and as JSON."""

from collections.abc import Iterable
from typing import Any, Final

from rich.table import Table

from dstk.v1 import admin_pb2
from dstk_cli.operate import settings as texts
from dstk_cli.operate.partition_view import key_or_none
from dstk_cli.operate.tables import table
from dstk_cli.untrusted import as_markup
from dstk_service import figures
from dstk_service.controller_settings import BOUNDS

_STATES: Final = {
    admin_pb2.STEP_STATE_RUNNING: "running",
    admin_pb2.STEP_STATE_PLANNED: "planned",
    admin_pb2.STEP_STATE_BLOCKED: "blocked",
}
_ORIGINS: Final = {
    admin_pb2.EVENT_ORIGIN_CONTROLLER: "controller",
    admin_pb2.EVENT_ORIGIN_OPERATOR: "operator",
    admin_pb2.EVENT_ORIGIN_NODE: "node",
}
_OUTCOMES: Final = {
    admin_pb2.EVENT_OUTCOME_RUNNING: "running",
    admin_pb2.EVENT_OUTCOME_DONE: "done",
    admin_pb2.EVENT_OUTCOME_FAILED: "failed",
}
_COLOURS: Final = {"running": "green", "blocked": "yellow", "failed": "red"}
_TO_THE_SECOND: Final = len("2026-11-26T12:34:31")
UNKNOWN: Final = "unknown"
"""What a newer server calls by a name that this program does not know."""


def settings(values_: admin_pb2.ControllerSettings, changed: Iterable[str] = ()) -> Table:
    """Returns a table of the settings; the values of `changed` ones are green."""
    made = table("setting", ">value", "meaning", spare=("meaning",), prose="meaning")
    for name, bounds in BOUNDS.items():
        value = texts.shown(values_, name)
        made.add_row(name, f"[green]{value}[/]" if name in changed else value, f"[dim]{bounds.meaning}[/]")
    return made


def counted(steps: Iterable[admin_pb2.PlannedStep]) -> tuple[int, int]:
    """Returns how many steps run or are next, and how many problems are blocked."""
    states = [step.state == admin_pb2.STEP_STATE_BLOCKED for step in steps]
    return states.count(False), states.count(True)


def plan(steps: Iterable[admin_pb2.PlannedStep]) -> Table:
    """Returns a table of the steps, numbered in order."""
    made = table(">", "state", "step", ">partition", "node", "key", "reason", spare=("key", "state"), prose="reason")
    for number, step in enumerate(steps, 1):
        key = key_or_none(step.at) or "-"
        texts_ = map(as_markup, (step.node or "-", key, step.reason))
        state = _coloured(_STATES.get(step.state, UNKNOWN))
        made.add_row(str(number), state, as_markup(step.action) or "-", str(step.partition_id), *texts_)
    return made


def step_json(step: admin_pb2.PlannedStep) -> dict[str, Any]:
    """Returns a step as one object."""
    return {
        "state": _STATES.get(step.state, UNKNOWN),
        "action": step.action or None,
        "partition": step.partition_id,
        "node": step.node or None,
        "at": key_or_none(step.at),
        "reason": step.reason,
    }


def events(found: Iterable[admin_pb2.Event]) -> Table:
    """Returns a table of the events, with times to the second."""
    titles = ("time", "node", "origin", "event", ">partition", "subject", "outcome", "reason")
    made = table(*titles, spare=("node", "origin", "outcome", "subject", "partition"), prose="reason")
    for event in found:
        when, *rest = _event_cells(event)
        made.add_row(f"{when[:_TO_THE_SECOND]}Z", *rest)
    return made


def event_line(event: admin_pb2.Event) -> str:
    """Returns an event as one line of markup."""
    when, *rest = _event_cells(event)
    return f"[dim]{when}[/]  {'  '.join(part for part in rest if part != '-')}"


def event_json(event: admin_pb2.Event) -> dict[str, Any]:
    """Returns an event as one object."""
    return {
        "at": figures.timestamp(event.at_ms),
        "at_ms": event.at_ms,
        "node": event.node,
        "origin": _ORIGINS.get(event.origin, UNKNOWN),
        "action": event.action,
        "partition": event.partition_id or None,
        "subject": event.subject or None,
        "outcome": _OUTCOMES.get(event.outcome, UNKNOWN),
        "reason": event.reason,
        "error": event.error or None,
    }


def _event_cells(event: admin_pb2.Event) -> list[str]:
    partition = str(event.partition_id) if event.partition_id else "-"
    origin, outcome = _ORIGINS.get(event.origin, UNKNOWN), _coloured(_OUTCOMES.get(event.outcome, UNKNOWN))
    reason = "; ".join(filter(None, (event.reason, event.error))) or "-"
    cells = (figures.timestamp(event.at_ms), event.node, origin, event.action, partition, event.subject or "-")
    return [*map(as_markup, cells), outcome, as_markup(reason)]


def _coloured(word: str) -> str:
    return f"[{_COLOURS[word]}]{word}[/]" if word in _COLOURS else word
