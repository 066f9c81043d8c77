"""Expressions of PromQL, and what can be done with them."""

from collections.abc import Iterable
from dataclasses import dataclass

from dstk_observability.external import External
from dstk_telemetry.registry.kinds import Metric

Family = Metric | External


@dataclass(frozen=True, slots=True)
class Expr:
    """An expression and the families that it reads. `atom`: it needs no parentheses inside another one."""

    text: str
    families: frozenset[Family] = frozenset()
    atom: bool = True

    def _joined(self, operator: str, other: "Expr | float") -> "Expr":
        right = other if isinstance(other, Expr) else number(other)
        return Expr(f"{self.inner} {operator} {right.inner}", self.families | right.families, atom=False)

    @property
    def inner(self) -> str:
        """The text as a part of another expression."""
        return self.text if self.atom else f"({self.text})"

    def __add__(self, other: "Expr | float") -> "Expr":
        return self._joined("+", other)

    def __sub__(self, other: "Expr | float") -> "Expr":
        return self._joined("-", other)

    def __mul__(self, other: "Expr | float") -> "Expr":
        return self._joined("*", other)

    def __truediv__(self, other: "Expr | float") -> "Expr":
        return self._joined("/", other)

    def above(self, bound: "Expr | float") -> "Expr":
        """Keeps the series that are greater."""
        return self._joined(">", bound)

    def at_least(self, bound: "Expr | float") -> "Expr":
        """Keeps the series that are as great or greater."""
        return self._joined(">=", bound)

    def below(self, bound: "Expr | float") -> "Expr":
        """Keeps the series that are smaller."""
        return self._joined("<", bound)

    def at_most(self, bound: "Expr | float") -> "Expr":
        """Keeps the series that are as small or smaller."""
        return self._joined("<=", bound)

    def equals(self, value: float) -> "Expr":
        """Keeps the series that have the value."""
        return self._joined("==", value)

    def and_(self, other: "Expr", on: Iterable[str] | None = None) -> "Expr":
        """Keeps the series that the other side has too, by the labels `on`; None: by all labels."""
        return self._joined("and" + _on(on), other)

    def unless(self, other: "Expr", on: Iterable[str] | None = None) -> "Expr":
        """Keeps the series that the other side does not have."""
        return self._joined("unless" + _on(on), other)

    def or_(self, other: "Expr") -> "Expr":
        """Adds the other side's series where this side has none."""
        return self._joined("or", other)

    def against(self, operator: str, other: "Expr", *on: str) -> "Expr":
        """Compares or computes each series with the one of the other side that shares the labels `on`."""
        return self._joined(f"{operator} on ({', '.join(on)}) group_left ()", other)

    def sum_by(self, *labels: str) -> "Expr":
        """Sums the series that share the labels; without labels, all."""
        return self._aggregated("sum", labels)

    def max_by(self, *labels: str) -> "Expr":
        """The greatest of the series that share the labels."""
        return self._aggregated("max", labels)

    def min_by(self, *labels: str) -> "Expr":
        """The smallest of the series that share the labels."""
        return self._aggregated("min", labels)

    def count_by(self, *labels: str) -> "Expr":
        """How many series share the labels."""
        return self._aggregated("count", labels)

    def largest(self, number: int) -> "Expr":
        """The series with the highest values, so many at each moment."""
        return Expr(f"topk({number}, {self.text})", self.families)

    def _aggregated(self, function: str, labels: tuple[str, ...]) -> "Expr":
        by = f" by ({', '.join(labels)})" if labels else ""
        return Expr(f"{function}{by} ({self.text})", self.families)


def _on(labels: Iterable[str] | None) -> str:
    return "" if labels is None else f" on ({', '.join(labels)})"


def number(value: float) -> Expr:
    """A constant."""
    return Expr(f"{value:.12g}")


def always() -> Expr:
    """A series without labels that is always there."""
    return Expr("vector(1)")
