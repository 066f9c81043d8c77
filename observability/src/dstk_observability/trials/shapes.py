"""How a series goes on: shapes, and the notation that promtool has for them."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Flat:
    """Stays at a value; None: there are no samples."""

    value: float | None


@dataclass(frozen=True, slots=True)
class Grows:
    """Changes by so much in a second, from its last value on; from `start`, if it is the first."""

    per_second: float
    start: float = 0


@dataclass(frozen=True, slots=True)
class Measures:
    """A histogram takes so many measurements in a second, each of `seconds`, or whatever its unit is."""

    seconds: float
    per_second: float = 10


Shape = Flat | Grows
Phase = tuple[Shape, int]
"""A shape, and for how many samples it lasts."""


def values(phases: Sequence[Phase], step: int) -> str:
    """The samples of one series after another, `step` seconds apart."""
    parts, last = [], None
    for shape, samples in phases:
        if samples < 1:
            continue
        if isinstance(shape, Flat):
            # a repeated value stands for one sample more than it says, a repeated gap does not
            parts.append(f"_x{samples}" if shape.value is None else f"{_text(shape.value)}x{samples - 1}")
            last = shape.value
        else:
            slope = shape.per_second * step
            first = shape.start if last is None else last + slope
            parts.append(f"{_text(first)}{'-' if slope < 0 else '+'}{_text(abs(slope))}x{samples - 1}")
            last = first + slope * (samples - 1)
    return " ".join(parts)


def _text(value: float) -> str:
    return f"{value:.12g}"
