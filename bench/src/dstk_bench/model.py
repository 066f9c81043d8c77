"""What a benchmark run produces, and its JSON form.

Rates are units per second (operations or records), latencies microseconds.
"""

from dataclasses import dataclass
from pathlib import Path
from statistics import median

from pydantic import TypeAdapter, ValidationError

from dstk_keytypes.errors import Portable

FORMAT = 1


class UnusableReportError(Portable, ValueError):
    """A file that is not a report of this format."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"{str(path)!r} is not a benchmark report of format {FORMAT}: {why}")


@dataclass(frozen=True, slots=True)
class Round:
    """One short stretch of load: how many units in how many seconds, and the latency of single calls."""

    count: int
    seconds: float
    p50_us: float
    p99_us: float

    @property
    def rate(self) -> float:
        """Units per second."""
        return self.count / self.seconds


@dataclass(frozen=True, slots=True)
class Figure:
    """What one system did in one case, over all rounds. p50 and p99 are over every call of every round."""

    case: str
    system: str
    callers: int
    unit: str
    p50_us: float
    p99_us: float
    rounds: tuple[Round, ...]

    @property
    def rate(self) -> float:
        """The median of the rounds, units per second."""
        return median(each.rate for each in self.rounds)

    @property
    def spread(self) -> float:
        """Half the distance between the fastest and the slowest round, as a part of the median."""
        rates = [each.rate for each in self.rounds]
        return (max(rates) - min(rates)) / 2 / self.rate


@dataclass(frozen=True, slots=True)
class Machine:
    """Where the figures come from; without it they mean nothing."""

    cpu: str
    cores: int
    memory_gib: float
    kernel: str
    python: str
    filesystem: str
    fsync_p50_us: float
    fsync_p99_us: float
    packages: dict[str, str]


@dataclass(frozen=True, slots=True)
class Settings:
    """How the run was set up: records loaded, bytes of a value, rounds of every case, and seconds of one round."""

    records: int
    value_bytes: int
    rounds: int
    round_seconds: float


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that was not measured, and why."""

    what: str
    why: str


@dataclass(frozen=True, slots=True)
class Report:
    """One run."""

    format: int
    started: str
    machine: Machine
    settings: Settings
    systems: dict[str, str]
    figures: tuple[Figure, ...]
    gaps: tuple[Gap, ...]

    def figure(self, case: str, system: str) -> Figure | None:
        """The figure of a system in a case, if it was measured."""
        return next((each for each in self.figures if (each.case, each.system) == (case, system)), None)


_REPORT = TypeAdapter(Report)


def write_report(report: Report, path: Path) -> None:
    """Writes the report as indented JSON."""
    path.write_bytes(_REPORT.dump_json(report, indent=1) + b"\n")


def read_report(path: Path) -> Report:
    """Reads what write_report wrote. Raises UnusableReportError, or OSError when there is no such file."""
    try:
        report = _REPORT.validate_json(path.read_bytes())
    except ValidationError as error:
        raise UnusableReportError(
            path, f"{error.error_count()} mistakes, the first: {error.errors()[0]['msg']}"
        ) from error
    if report.format != FORMAT:
        raise UnusableReportError(path, f"it has format {report.format!r}")
    return report
