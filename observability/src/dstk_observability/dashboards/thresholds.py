"""The colours of a panel's values, and why they change where they change."""

from dataclasses import dataclass
from enum import StrEnum

from dstk_observability.dashboards.units import Unit, readable


class Colour(StrEnum):
    """Grafana's names. Green: nothing to do. Yellow: look when there is time. Red: act."""

    GREEN = "green"
    YELLOW = "yellow"
    RED = "red"
    BLUE = "blue"
    """A fact that is neither good nor bad."""


@dataclass(frozen=True, slots=True)
class Step:
    """From `value` upwards."""

    value: float
    colour: Colour


@dataclass(frozen=True, slots=True)
class Thresholds:
    """`base` is the colour below the first step. `steps` ascend. `meaning`: what holds beyond them."""

    base: Colour
    steps: tuple[Step, ...]
    meaning: str

    def text(self, unit: Unit) -> str:
        """A sentence with the values."""
        if self.base is Colour.GREEN:
            changes = " and ".join(f"{step.colour} from {readable(step.value, unit)}" for step in self.steps)
        else:
            changes = _below(self, unit)
        return f"{changes[0].upper()}{changes[1:]}: {self.meaning}"


def above(red: float, meaning: str, *, yellow: float | None = None) -> Thresholds:
    """High values are bad. `meaning` says why, and ends in a full stop."""
    warning = () if yellow is None else (Step(yellow, Colour.YELLOW),)
    return Thresholds(Colour.GREEN, (*warning, Step(red, Colour.RED)), meaning)


def warn_above(yellow: float, meaning: str) -> Thresholds:
    """High values are worth a look, and never an emergency."""
    return Thresholds(Colour.GREEN, (Step(yellow, Colour.YELLOW),), meaning)


def below(red: float, meaning: str, *, yellow: float | None = None) -> Thresholds:
    """Low values are bad: red below `red`, yellow below `yellow`, else green."""
    if yellow is None:
        return Thresholds(Colour.RED, (Step(red, Colour.GREEN),), meaning)
    return Thresholds(Colour.RED, (Step(red, Colour.YELLOW), Step(yellow, Colour.GREEN)), meaning)


def warn_below(yellow: float, meaning: str) -> Thresholds:
    """Low values are worth a look, and never an emergency."""
    return Thresholds(Colour.YELLOW, (Step(yellow, Colour.GREEN),), meaning)


def _below(thresholds: Thresholds, unit: Unit) -> str:
    colours = (thresholds.base, *(step.colour for step in thresholds.steps[:-1]))
    return " and ".join(
        f"{colour} below {readable(step.value, unit)}" for colour, step in zip(colours, thresholds.steps, strict=True)
    )
