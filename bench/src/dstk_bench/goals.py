"""The ratios that the project promises, and their values in a run. Pure.

A ratio is taken round by round, since the systems of one round ran right after one another under the same noise; the
median counts, the smallest and the largest are its range.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from statistics import median

from dstk_bench.model import Figure, Report, Round


class Metric(StrEnum):
    """The measure that a goal compares: units per second, the median latency of a call, or microseconds per unit."""

    RATE = "rate"
    LATENCY = "p50 latency"
    COST = "µs each"


class Verdict(StrEnum):
    """Whether a run met a goal."""

    MET = "met"
    MISSED = "missed"
    UNMEASURED = "not measured"


@dataclass(frozen=True, slots=True)
class Goal:
    """`system` at least (or at most) `bound` times as `against`; without `against` the bound is absolute."""

    case: str
    metric: Metric
    system: str
    against: str | None
    at_least: bool
    bound: float

    @property
    def title(self) -> str:
        """The goal in words."""
        return f"{self.case}: {self.metric} of {self.system}" + (f" to {self.against}" if self.against else "")

    @property
    def limit(self) -> str:
        """The bound in words."""
        return f"{'≥' if self.at_least else '≤'} {self.bound:.3g}{'x' if self.against else ' µs'}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A goal and its measured ratio, with the range over the rounds; all 0 if it was not measured."""

    goal: Goal
    ratio: float
    low: float
    high: float

    @property
    def verdict(self) -> Verdict:
        """By the median alone."""
        if not self.ratio:
            return Verdict.UNMEASURED
        met = self.ratio >= self.goal.bound if self.goal.at_least else self.ratio <= self.goal.bound
        return Verdict.MET if met else Verdict.MISSED


def _at_least(case: str, system: str, against: str, bound: float) -> Goal:
    return Goal(case, Metric.RATE, system, against, at_least=True, bound=bound)


def _at_most(case: str, system: str, against: str, bound: float) -> Goal:
    return Goal(case, Metric.LATENCY, system, against, at_least=False, bound=bound)


GOALS = (
    _at_least("get-256", "dstk", "etcd", 6),
    _at_least("get-256", "dstk", "redis", 4),
    _at_least("put-256", "dstk", "etcd", 5),
    _at_least("put-256", "dstk", "redis", 4),
    _at_least("put-256", "dstk-3n", "etcd-3m", 3),
    _at_most("get-1", "dstk", "etcd", 0.7),
    _at_most("put-1", "dstk", "etcd", 1.0),
    _at_most("unary-get", "dstk-gateway", "echo", 1.8),
    _at_most("unary-put", "dstk-gateway", "echo", 1.8),
    _at_least("bulk", "dstk", "redis", 1),
    _at_least("bulk", "dstk", "leveldb", 0.25),
    _at_least("scan", "dstk", "etcd", 2),
    _at_least("scan", "dstk", "leveldb", 0.3),
    _at_least("get-256", "dstk-1000p", "dstk", 1 / 1.2),
    _at_least("put-256", "dstk-1000p", "dstk", 1 / 1.2),
    Goal("routing", Metric.COST, "dstk-routing", None, at_least=False, bound=1),
)


def outcomes(report: Report) -> list[Outcome]:
    """The outcome of every goal in a report."""
    return [_outcome(goal, report) for goal in GOALS]


def _outcome(goal: Goal, report: Report) -> Outcome:
    figure = report.figure(goal.case, goal.system)
    other = report.figure(goal.case, goal.against) if goal.against else None
    if figure is None or (goal.against and other is None):
        return Outcome(goal, 0, 0, 0)
    ratios = list(_ratios(goal.metric, figure, other))
    return Outcome(goal, median(ratios), min(ratios), max(ratios))


def _ratios(metric: Metric, figure: Figure, other: Figure | None) -> Iterator[float]:
    if other is None:
        return (_value(metric, each) for each in figure.rounds)
    pairs = zip(figure.rounds, other.rounds, strict=True)
    return (_value(metric, one) / _value(metric, two) for one, two in pairs)


def _value(metric: Metric, measured: Round) -> float:
    match metric:
        case Metric.RATE:
            return measured.rate
        case Metric.LATENCY:
            return measured.p50_us
        case Metric.COST:
            return 1e6 / measured.rate


class Change(StrEnum):
    """How a ratio compares with that of the baseline: it differs only if the two ranges do not overlap."""

    BETTER = "better"
    WORSE = "worse"
    SAME = "same within noise"
    UNKNOWN = "not comparable"


@dataclass(frozen=True, slots=True)
class Comparison:
    """One goal in this run and in the baseline."""

    now: Outcome
    before: Outcome

    @property
    def change(self) -> Change:
        """Whether the ratio moved by more than the noise of both runs."""
        now, before = self.now, self.before
        if not now.ratio or not before.ratio:
            return Change.UNKNOWN
        if now.low <= before.high and before.low <= now.high:
            return Change.SAME
        return Change.BETTER if (now.ratio > before.ratio) == now.goal.at_least else Change.WORSE


def compare(report: Report, baseline: Report) -> list[Comparison]:
    """Every goal, now and in the baseline. Ratios only: the baseline may come from another machine."""
    return [Comparison(now, before) for now, before in zip(outcomes(report), outcomes(baseline), strict=True)]
