"""What an alert is: plain values, from which rules, their tests and the index of runbooks are made."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from dstk_observability.promql import Expr

_NAME = re.compile(r"Dstk([A-Z][a-z]+)+")
_HOLD = re.compile(r"[1-9]\d*[smhd]")


class Severity(StrEnum):
    """Who is told, and when."""

    PAGE = "page"
    """At once, at night too: callers notice, or data is in danger."""
    TICKET = "ticket"
    """In working hours: it has time, or the cluster copes for now."""
    HEARTBEAT = "heartbeat"
    """Always firing: whoever receives it raises the alarm when it stops."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One rule. `hold`: for how long the expression must hold before it fires, as Prometheus writes durations.

    `summary` and `description` are templates with `$labels` and `$value`; the page docs/runbooks/NAME.md says what to do.
    """

    name: str
    severity: Severity
    hold: str
    expr: Expr
    summary: str
    description: str

    def __post_init__(self) -> None:
        assert _NAME.fullmatch(self.name), f"{self.name}: not a name of an alert"
        assert _HOLD.fullmatch(self.hold), f"{self.name}: {self.hold!r} is no duration"
        assert not self.summary.endswith("."), f"{self.name}: a summary is a headline"
        assert self.description.endswith("."), f"{self.name}: a description is made of sentences"


@dataclass(frozen=True, slots=True)
class Record:
    """A recording rule: Prometheus keeps the expression's value as a series of this name."""

    name: str
    expr: Expr

    @property
    def recorded(self) -> Expr:
        """The series, to be used in other expressions."""
        return Expr(self.name, self.expr.families)


@dataclass(frozen=True, slots=True)
class Group:
    """Rules that are evaluated together, records first. `area` is a label of its alerts, by which notifications are grouped."""

    area: str
    title: str
    alerts: Sequence[Alert]
    records: Sequence[Record] = field(default_factory=tuple)


def page(name: str, hold: str, expr: Expr, summary: str, description: str) -> Alert:
    """An alert that wakes a person."""
    return Alert(name, Severity.PAGE, hold, expr, summary, description)


def ticket(name: str, hold: str, expr: Expr, summary: str, description: str) -> Alert:
    """An alert that waits for working hours."""
    return Alert(name, Severity.TICKET, hold, expr, summary, description)
