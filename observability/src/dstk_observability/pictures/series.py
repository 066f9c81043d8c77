"""What a picture shows: named series, and marks in time."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dstk_observability.dashboards.units import Unit, readable

Panel = Mapping[str, Any]
"""A panel as Grafana's file has it."""

COLOURS = {"green": "#4f9e46", "yellow": "#c79100", "red": "#d8334a", "blue": "#3d71d9"}
"""Of the names that thresholds use."""


SECONDS = 60


@dataclass(frozen=True, slots=True)
class Line:
    """Points are (time, value), ascending; NaN where there is no value."""

    name: str
    points: Sequence[tuple[float, float]]

    @property
    def numbers(self) -> list[float]:
        """The values without NaN."""
        return [value for _, value in self.points if not math.isnan(value)]

    @property
    def last(self) -> float:
        """The last value that is a number; NaN if there is none."""
        return next(iter(reversed(self.numbers)), math.nan)

    def since(self, begin: float) -> "Line":
        """The same over minutes since a Unix time."""
        return Line(self.name, [((moment - begin) / SECONDS, value) for moment, value in self.points])


@dataclass(frozen=True, slots=True)
class Entry:
    """A log line. `moment`: its time, as text."""

    moment: str
    level: str
    text: str


@dataclass(frozen=True, slots=True)
class Content:
    """What one panel shows: series, or log lines, newest first."""

    lines: Sequence[Line] = ()
    entries: Sequence[Entry] = ()

    @property
    def filled(self) -> list[Line]:
        """The series with a value."""
        return [line for line in self.lines if line.numbers]

    def since(self, begin: float) -> "Content":
        """The same with its series over minutes since a Unix time."""
        return Content([line.since(begin) for line in self.lines], self.entries)


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened from one time to another."""

    begin: float
    end: float
    text: str

    def since(self, begin: float) -> "Mark":
        """The same in minutes since a Unix time."""
        return Mark((self.begin - begin) / SECONDS, (self.end - begin) / SECONDS, self.text)


def unit_of(panel: Panel) -> Unit:
    """The unit of a panel's values."""
    return Unit(panel["fieldConfig"]["defaults"]["unit"])


def shown(panel: Panel, value: float) -> str:
    """A value as a person reads it: in a word where the panel has one for it."""
    if math.isnan(value):
        return "no data"
    words = {float(text): word["text"] for text, word in _words_of(panel).items()}
    return words.get(value) or readable(value, unit_of(panel))


def _words_of(panel: Panel) -> Mapping[str, Mapping[str, str]]:
    mappings = panel["fieldConfig"]["defaults"].get("mappings") or [{"options": {}}]
    options: Mapping[str, Mapping[str, str]] = mappings[0]["options"]
    return options


def steps_of(panel: Panel) -> list[tuple[float, str]]:
    """Value and colour of each threshold, ascending; the first from minus infinity."""
    steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
    return [(-math.inf if step["value"] is None else step["value"], COLOURS[step["color"]]) for step in steps]


def colour_of(panel: Panel, value: float) -> str:
    """The colour that thresholds give a value; grey for none."""
    return next((colour for bound, colour in reversed(steps_of(panel)) if value >= bound), "#8e8e8e")
