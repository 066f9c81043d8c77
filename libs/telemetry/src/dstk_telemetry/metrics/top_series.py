"""Figures of many things within a budget of series: a few have series of their own, the others are in sums."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import add, sub
from typing import Generic, TypeVar

from dstk_telemetry.metrics.instruments import Sample
from dstk_telemetry.registry.kinds import Metric
from dstk_telemetry.registry.partitions import OTHERS

Id = TypeVar("Id", bound=int)
Figures = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Counted:
    """Of a thing, or of all: what it has done since the last update, and what it amounts to now."""

    done: Figures
    amounts: Figures


class TopSeries(Generic[Id]):
    """Counters and gauges with one label, the id of a thing. `counters`, `gauges`: the metrics, in the order of the figures.

    Invariant: what a thing does between two updates is counted once: in its own series if it has one after the second update,
    else in the sums. So no counter falls, whichever things get a series and lose it.
    """

    def __init__(self, counters: Sequence[Metric], gauges: Sequence[Metric]) -> None:
        self._counters, self._gauges = counters, gauges
        self._own: dict[Id, Figures] = {}
        """What each thing has done while it had a series."""
        self._others: Figures = (0.0,) * len(counters)
        self._shown: Mapping[Id, Counted] = {}
        self._rest: Figures = (0.0,) * len(gauges)

    def update(self, shown: Mapping[Id, Counted], total: Counted, known: Collection[Id]) -> None:
        """`shown`: the things that have series from now on. `total`: of all things, these included. `known`: the ids of all
        things that may come back.
        """
        done, amounts = total.done, total.amounts
        for number, counted in shown.items():
            self._own[number] = _added(self._own.get(number, (0.0,) * len(self._counters)), counted.done)
            done = _without(done, counted.done)
            amounts = _without(amounts, counted.amounts)
        self._others = _added(self._others, done)
        self._rest, self._shown = amounts, shown
        self._own = {number: own for number, own in self._own.items() if number in shown or number in known}

    def samples(self) -> Iterator[Sample]:
        """The figures as of the last update."""
        for number, counted in self._shown.items():
            yield from self._of(str(number), self._own[number], counted.amounts)
        yield from self._of(OTHERS, self._others, self._rest)

    def _of(self, name: str, done: Figures, amounts: Figures) -> Iterator[Sample]:
        for metric, value in zip((*self._counters, *self._gauges), (*done, *amounts), strict=True):
            yield metric, (name,), value


def _added(left: Figures, right: Figures) -> Figures:
    return tuple(map(add, left, right))


def _without(left: Figures, right: Figures) -> Figures:
    """Sums of floats may end a little below 0."""
    return tuple(max(0.0, each) for each in map(sub, left, right))
