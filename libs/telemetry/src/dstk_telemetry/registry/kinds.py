"""What an entry of the registry is: plain values, from which instruments, dashboards, rules, templates and pages are made."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import product

PREFIX = "dstk_"
_NAME = re.compile(r"dstk(_[a-z][a-z0-9]*)+")


class Kind(StrEnum):
    """The type of a metric, as Prometheus names it."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Unit(StrEnum):
    """What a metric counts or measures: always a base unit. A counter of seconds is a sum of durations."""

    SECONDS = "seconds"
    BYTES = "bytes"
    RATIO = "ratio"
    """0 to 1."""
    COUNT = ""
    """Things; the name says which."""
    TIMESTAMP = "timestamp_seconds"
    """Unix time."""


class Owner(StrEnum):
    """The services that export a metric."""

    STORAGE = "storage"
    ROUTER = "router"
    METRICS = "metrics"
    BACKUP = "backup"


EVERY_SERVICE = tuple(Owner)


@dataclass(frozen=True, slots=True)
class Label:
    """A label of a metric. Its values come from the code, never from a user: `values` lists them where they are few, else
    `bound` says how many there are at most in one process, and `what` what they are.
    """

    name: str
    what: str
    values: tuple[str, ...] = ()
    bound: int = 0

    def __post_init__(self) -> None:
        assert bool(self.values) != bool(self.bound), f"label {self.name}: either its values or a bound"


@dataclass(frozen=True, slots=True)
class Metric:
    """One family of series. `buckets`: upper bounds of a histogram, ascending, in its unit, without +Inf."""

    name: str
    kind: Kind
    help: str
    unit: Unit = Unit.COUNT
    labels: tuple[Label, ...] = ()
    buckets: tuple[float, ...] = ()
    owners: tuple[Owner, ...] = EVERY_SERVICE

    def __post_init__(self) -> None:
        assert _NAME.fullmatch(self.name), f"{self.name}: not a name"
        assert self.name.endswith("_total") == (self.kind is Kind.COUNTER), f"{self.name}: counters end in _total"
        stem = self.name.removesuffix("_total")
        assert stem.endswith(f"_{self.unit}") or self.unit is Unit.COUNT, f"{self.name}: ends in its unit, {self.unit}"
        assert bool(self.buckets) == (self.kind is Kind.HISTOGRAM), f"{self.name}: histograms have buckets"
        assert list(self.buckets) == sorted(set(self.buckets)), f"{self.name}: buckets ascend"
        assert self.help.endswith("."), f"{self.name}: its help is a sentence"

    @property
    def label_names(self) -> tuple[str, ...]:
        """In the order in which their values are given."""
        return tuple(label.name for label in self.labels)

    def known_values(self) -> Iterator[tuple[str, ...]]:
        """All combinations of label values, if every label lists its values; else none: such series begin when they are met."""
        if all(label.values for label in self.labels):
            yield from product(*(label.values for label in self.labels))

    @property
    def series(self) -> int:
        """How many time series one process has of it, at most."""
        combinations = 1
        for label in self.labels:
            combinations *= len(label.values) or label.bound
        return combinations * (len(self.buckets) + 3 if self.kind is Kind.HISTOGRAM else 1)


def counter(name: str, text: str, *labels: Label, unit: Unit = Unit.COUNT, owners: Sequence[Owner]) -> Metric:
    """A number that only grows while the process lives."""
    return Metric(name, Kind.COUNTER, text, unit, labels, owners=tuple(owners))


def gauge(name: str, text: str, *labels: Label, unit: Unit = Unit.COUNT, owners: Sequence[Owner]) -> Metric:
    """A number as it is at the moment of a scrape."""
    return Metric(name, Kind.GAUGE, text, unit, labels, owners=tuple(owners))


def histogram(
    name: str, text: str, *labels: Label, unit: Unit, buckets: Sequence[float], owners: Sequence[Owner]
) -> Metric:
    """How many measurements were at most as large as each bucket's bound."""
    return Metric(name, Kind.HISTOGRAM, text, unit, labels, tuple(buckets), tuple(owners))
