"""What a trial is: plain values, of which promtool.py makes tests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dstk_observability.promql import Family
from dstk_observability.trials.cluster import CLUSTER, Labels
from dstk_observability.trials.shapes import Flat, Grows, Measures, Shape


@dataclass(frozen=True, slots=True)
class Change:
    """From a moment on, the series of a family that have these labels go on in another way."""

    family: Family
    shape: Shape | Measures
    labels: Labels

    def concerns(self, family: Family, labels: Labels) -> bool:
        """Whether it changes a series."""
        return family is self.family and self.labels.items() <= labels.items()


def becomes(family: Family, value: float, **labels: str) -> Change:
    """A gauge has a new value."""
    return Change(family, Flat(value), labels)


def gone(family: Family, **labels: str) -> Change:
    """Series end."""
    return Change(family, Flat(None), labels)


def grows(family: Family, per_second: float, **labels: str) -> Change:
    """A counter, or a gauge, changes by so much in a second."""
    return Change(family, Grows(per_second), labels)


def jumps(family: Family, value: float, **labels: str) -> Change:
    """A counter grows at once, and then no more."""
    return Change(family, Flat(value), labels)


def takes(family: Family, seconds: float, **labels: str) -> Change:
    """A histogram measures as much from now on."""
    return Change(family, Measures(seconds), labels)


def on(**labels: str) -> Labels:
    """The labels of an alert about the cluster, or about a part of it."""
    return {"cluster": CLUSTER, **labels}


def on_node(instance: str = "storage-1", job: str = "storage", **labels: str) -> Labels:
    """The labels of an alert about a process."""
    return on(job=job, instance=instance, **labels)


@dataclass(frozen=True, slots=True)
class Trial:
    """What must make an alert fire, and what must not.

    `fault` begins after a quiet time. `fires`: the labels of the alerts that fire then, without those that every alert has.
    `after`: how many steps later the expression is true. `spares`: faults that must not make it fire.
    `resolves`: it ends after the fault.
    """

    fault: Sequence[Change]
    fires: Sequence[Mapping[str, str]]
    spares: Sequence[Sequence[Change]] = ()
    after: int = 0
    step: int = 60
    """Seconds between samples."""
    quiet: int = 30
    """Steps before the fault."""
    resolves: bool = True
