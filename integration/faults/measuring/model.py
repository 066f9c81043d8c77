"""What a run finds, and how it is judged."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from dstk_bench.model import Machine

FORMAT = 1


class Verdict(StrEnum):
    """Of a figure, and of a measurement as a whole."""

    NONE = ""
    """No goal is set."""
    MET = "met"
    MISSED = "missed"
    BROKEN = "broken"
    """What is promised did not hold: a bug, whatever the machine."""
    INVALID = "invalid"
    """Nothing is shown: too little was done, or the measurement came to no end."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How much is done. `directory`: where the clusters' data lies meanwhile; None: the system's temporary directory."""

    kills: int = 30
    etcd_seconds: float = 30.0
    switches: int = 20
    gigabytes: float = 1.0
    directory: Path | None = None


@dataclass(frozen=True, slots=True)
class Figure:
    """One number. `goal`: the most that it may be, or the least with `at_least`; `promised`: to miss it is a bug."""

    name: str
    value: float
    unit: str = ""
    goal: float | None = None
    at_least: bool = False
    promised: bool = False

    @property
    def verdict(self) -> Verdict:
        """Against the goal."""
        if self.goal is None:
            return Verdict.NONE
        if self.value >= self.goal if self.at_least else self.value <= self.goal:
            return Verdict.MET
        return Verdict.BROKEN if self.promised else Verdict.MISSED


@dataclass(frozen=True, slots=True)
class Measured:
    """What one measurement found. `invalid`: why it shows nothing; `notes`: what explains the figures, for people."""

    name: str
    figures: Sequence[Figure] = ()
    samples: Sequence[float] = ()
    """Seconds, in the order in which they were taken; of what, the measurement says."""
    invalid: str = ""
    notes: Sequence[str] = ()

    @property
    def verdict(self) -> Verdict:
        """A broken promise counts even where times show nothing."""
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
"""Is told which part is done, 0..1, and what is being done."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """Something that can be measured."""

    name: str
    meaning: str
    run: Callable[[Settings, Tell], Awaitable[Measured]]
