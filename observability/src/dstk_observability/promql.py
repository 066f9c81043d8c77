"""PromQL, built from metrics: an expression names no metric, label or label value that does not exist.

    rate(OPERATIONS, "5m", outcome="server").sum_by("job").above(10)

A selector checks its metric's kind, its labels, and the values of closed labels, and raises AssertionError.
"""

import re
from dataclasses import dataclass

from dstk_observability.expr import Expr as Expr
from dstk_observability.expr import Family as Family
from dstk_observability.expr import always as always
from dstk_observability.expr import number as number
from dstk_observability.external import JOBS, External
from dstk_telemetry.registry.kinds import Kind, Label

TARGET_LABELS = ("cluster", "job", "instance")
"""The labels that Prometheus adds to each series: the cluster, the scrape job, and the id of the process."""
AUTOMATIC = "$__rate_interval"
"""A window that Grafana chooses: at least four scrapes, more where a screen shows days."""
_DURATION = re.compile(rf"(\d+(ms|[smhdw]))+|{re.escape(AUTOMATIC)}")


@dataclass(frozen=True, slots=True)
class OneOf:
    """Matches each of some values of a label."""

    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """Matches every value of a label but this one."""

    value: str


@dataclass(frozen=True, slots=True)
class Selected:
    """Matches the values that a person selects in a dashboard's variable."""

    variable: str


Matcher = str | OneOf | Not | Selected


def one_of(*values: str) -> OneOf:
    """Matches each of these values."""
    return OneOf(values)


def now(metric: Family, offset: str = "", **matchers: Matcher) -> Expr:
    """The value of a gauge or a counter, or the one that it had `offset` ago."""
    assert metric.kind is not Kind.HISTOGRAM, f"{metric.name} is a histogram"
    ago = f" offset {_duration(offset)}" if offset else ""
    return Expr(_selector(metric, metric.name, matchers) + ago, frozenset({metric}))


def rate(metric: Family, window: str, **matchers: Matcher) -> Expr:
    """How much a counter grows in a second."""
    return _of_counter("rate", metric, window, matchers)


def increase(metric: Family, window: str, **matchers: Matcher) -> Expr:
    """How much a counter grew in the window."""
    return _of_counter("increase", metric, window, matchers)


def over(function: str, metric: Family, window: str, **matchers: Matcher) -> Expr:
    """A function over a gauge's values in the window, such as `max_over_time` or `changes`."""
    assert metric.kind is Kind.GAUGE, f"{metric.name} is a {metric.kind}"
    return _of_range(function, metric, metric.name, window, matchers)


def predicted(metric: Family, window: str, seconds: float, **matchers: Matcher) -> Expr:
    """The value that a gauge will have in `seconds`, if it goes on as in the window."""
    past = over("predict_linear", metric, window, **matchers)
    return Expr(past.text.removesuffix(")") + f", {seconds:g})", past.families)


def quantile(share: float, metric: Family, window: str, *by: str, **matchers: Matcher) -> Expr:
    """The value that `share` of a histogram's measurements in the window do not exceed."""
    buckets = _of_range("rate", metric, _bucket(metric), window, matchers).sum_by(*by, "le")
    return Expr(f"histogram_quantile({share:g}, {buckets.text})", buckets.families)


def slower(bound: float, metric: Family, window: str, *by: str, **matchers: Matcher) -> Expr:
    """The 99th percentile of a histogram's measurements in the window, where it is above one of its bounds.

    Between two bounds a percentile is a guess, so no other value can be compared with.
    """
    assert bound in metric.buckets, f"{metric.name} has no bucket {bound}"
    return quantile(0.99, metric, window, *by, **matchers).above(bound)


def share_above(bound: float, metric: Family, window: str, *by: str, **matchers: Matcher) -> Expr:
    """The share of a histogram's measurements in the window above one of its bounds. NaN: there were none."""
    assert bound in metric.buckets, f"{metric.name} has no bucket {bound}"
    name = _bucket(metric)
    within = _of_range("rate", metric, name, window, {**matchers, "le": bound_text(bound)}).sum_by(*by)
    return number(1) - within / count_rate(metric, window, **matchers).sum_by(*by)


def mean(metric: Family, window: str, *by: str, **matchers: Matcher) -> Expr:
    """The mean of a histogram's measurements in the window. NaN: there were none."""
    summed = _of_range("rate", metric, f"{metric.name}_sum", window, matchers)
    return summed.sum_by(*by) / count_rate(metric, window, **matchers).sum_by(*by)


def age(metric: Family, **matchers: Matcher) -> Expr:
    """Seconds since the time that a gauge tells."""
    return Expr("time()") - now(metric, "", **matchers)


def bound_text(bound: float) -> str:
    """A bound of a histogram as the value of `le`."""
    return repr(float(bound))


def count_rate(metric: Family, window: str, **matchers: Matcher) -> Expr:
    """How many measurements a histogram takes in a second."""
    assert metric.kind is Kind.HISTOGRAM, f"{metric.name} is a {metric.kind}"
    return _of_range("rate", metric, f"{metric.name}_count", window, matchers)


def happened(metric: Family, window: str) -> Expr:
    """Whether a counter grew in the window: also one that was above 0 when its process began."""
    grown = increase(metric, window).above(0)
    before = now(metric, window).or_(now(metric) * 0)
    return grown.or_((now(metric) - before).above(0))


def absent(metric: Family, **matchers: str) -> Expr:
    """A series with the labels of the matchers while the metric has none with them."""
    found = now(metric, **matchers)
    return Expr(f"absent({found.text})", found.families)


def _of_counter(function: str, metric: Family, window: str, matchers: dict[str, Matcher]) -> Expr:
    assert metric.kind is Kind.COUNTER, f"{metric.name} is a {metric.kind}"
    return _of_range(function, metric, metric.name, window, matchers)


def _of_range(function: str, metric: Family, name: str, window: str, matchers: dict[str, Matcher]) -> Expr:
    return Expr(f"{function}({_selector(metric, name, matchers)}[{_duration(window)}])", frozenset({metric}))


def _bucket(metric: Family) -> str:
    assert metric.kind is Kind.HISTOGRAM, f"{metric.name} is a {metric.kind}"
    return f"{metric.name}_bucket"


def _duration(text: str) -> str:
    assert _DURATION.fullmatch(text), f"{text!r} is no duration of Prometheus"
    return text


def _selector(metric: Family, name: str, matchers: dict[str, Matcher]) -> str:
    pairs = [_pair(metric, label, matcher) for label, matcher in matchers.items()]
    return f"{name}{{{', '.join(pairs)}}}" if pairs else name


def _pair(metric: Family, label: str, matcher: Matcher) -> str:
    for value in _values(matcher):
        _check(metric, label, value)
    match matcher:
        case Selected():
            return f'{label}=~"${matcher.variable}"'
        case OneOf():
            return f'{label}=~"{"|".join(matcher.values)}"'
        case Not():
            return f'{label}!="{matcher.value}"'
        case _:
            return f'{label}="{matcher}"'


def _values(matcher: Matcher) -> tuple[str, ...]:
    match matcher:
        case OneOf():
            return matcher.values
        case Not():
            return (matcher.value,)
        case Selected():
            return ()
        case _:
            return (matcher,)


def _check(metric: Family, label: str, value: str) -> None:
    if label == "job":
        assert value in JOBS, f"there is no job {value!r}"
        assert value in jobs_of(metric), f"the job {value!r} has no {metric.name}"
        return
    known: dict[str, Label] = {each.name: each for each in metric.labels}
    assert label in known or label in (*TARGET_LABELS, "le"), f"{metric.name} has no label {label!r}"
    if label in known and known[label].values:
        assert value in known[label].values, f"{metric.name}: {label} is never {value!r}"


def jobs_of(metric: Family) -> tuple[str, ...]:
    """The scrape jobs whose targets have the metric."""
    return metric.jobs if isinstance(metric, External) else tuple(metric.owners)
