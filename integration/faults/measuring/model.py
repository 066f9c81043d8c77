"""The results of a run, and their verdicts."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from dstk_bench.model import Machine

FORMAT = 1


class Verdict(StrEnum):
    """The verdict of a figure, and of a whole measurement."""

    NONE = ""
    """No goal is set."""
    MET = "met"
    MISSED = "missed"
    BROKEN = "broken"
    """A promise did not hold: a bug, on any machine."""
    INVALID = "invalid"
    """Proves nothing: the load was too small, or the measurement did not finish."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The size of each measurement. `directory`: for the clusters' data; None: the system's temporary directory."""

    kills: int = 30
    etcd_seconds: float = 30.0
    switches: int = 20
    gigabytes: float = 1.0
    directory: Path | None = None


@dataclass(frozen=True, slots=True)
class Figure:
    """One number. `goal`: its maximum, or its minimum with `at_least`; `promised`: missing the goal is a bug."""

    name: str
    value: float
    unit: str = ""
    goal: float | None = None
    at_least: bool = False
    promised: bool = False

    @property
    def verdict(self) -> Verdict:
        """Compares the value with the goal."""
        if self.goal is None:
            return Verdict.NONE
        if self.value >= self.goal if self.at_least else self.value <= self.goal:
            return Verdict.MET
        return Verdict.BROKEN if self.promised else Verdict.MISSED


@dataclass(frozen=True, slots=True)
class Measured:
    """The result of one measurement. `invalid`: why it proves nothing; `notes`: explanations for people."""

    name: str
    figures: Sequence[Figure] = ()
    samples: Sequence[float] = ()
    """Seconds, in the order of the measurements."""
    invalid: str = ""
    notes: Sequence[str] = ()

    @property
    def verdict(self) -> Verdict:
        """The verdict; a broken promise counts even if the times are invalid."""
        found = {figure.verdict for figure in self.figures}
        if Verdict.BROKEN in found:
            return Verdict.BROKEN
        if self.invalid:
            return Verdict.INVALID
        return Verdict.MISSED if Verdict.MISSED in found else Verdict.MET


@dataclass(frozen=True, slots=True)
class Report:
    """One run."""

    started: str
    machine: Machine
    settings: Settings
    measurements: Sequence[Measured]


Tell = Callable[[float, str], None]
"""Called with the progress, 0..1, and the current step."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """Something that can be measured."""

    name: str
    meaning: str
    run: Callable[[Settings, Tell], Awaitable[Measured]]
