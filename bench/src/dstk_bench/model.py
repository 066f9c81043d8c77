"""The report of a benchmark run, and its JSON form.

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
    """One round of load: the units, the seconds, and the latency of single calls."""

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
    """The result of one system in one case, over all rounds. p50 and p99 cover every call of every round."""

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
        """Half the difference between the fastest and the slowest round, relative to the median."""
        rates = [each.rate for each in self.rounds]
        return (max(rates) - min(rates)) / 2 / self.rate


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine of a run. Figures mean nothing without it."""

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
    """The parameters of a run: records loaded, bytes per value, rounds per case, and seconds per round."""

    records: int
    value_bytes: int
    rounds: int
    round_seconds: float


@dataclass(frozen=True, slots=True)
class Gap:
    """A system or a case that was not measured, and the reason."""

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
    """Reads what write_report wrote. Raises UnusableReportError, or OSError if the file cannot be read."""
    try:
        report = _REPORT.validate_json(path.read_bytes())
    except ValidationError as error:
        raise UnusableReportError(
            path, f"{error.error_count()} mistakes, the first: {error.errors()[0]['msg']}"
        ) from error
    if report.format != FORMAT:
        raise UnusableReportError(path, f"it has format {report.format!r}")
    return report
