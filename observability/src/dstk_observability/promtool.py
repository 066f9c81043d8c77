"""Tests for `promtool test rules`: of each alert, made from its trial; and of all alerts, on clusters that are well."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dstk_observability.alerts import ALERTS, AREA_OF
from dstk_observability.alerts.kinds import Alert, Severity
from dstk_observability.documents import as_yaml
from dstk_observability.promql import Family, bound_text
from dstk_observability.rules import seconds
from dstk_observability.trials import TRIALS
from dstk_observability.trials.cluster import Labels, healthy, series
from dstk_observability.trials.kinds import Change, Trial
from dstk_observability.trials.shapes import Flat, Grows, Measures, Shape, values
from dstk_telemetry.registry.kinds import Kind

_WINDOW = re.compile(r"(?:\[|offset )(\d+[smhd])")
MARGIN = 3
"""Steps more than are needed: rules are evaluated once a step."""

Test = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Timeline:
    """How many steps each phase of a trial lasts."""

    quiet: int
    fault: int
    recovery: int

    @property
    def end(self) -> int:
        """The last step."""
        return self.quiet + self.fault + self.recovery - 1


def of_alert(name: str, rule_file: str) -> str:
    """The tests of one alert."""
    alert, trial = ALERTS[name], TRIALS[name]
    tests = [_fault(alert, trial), *(_spared(alert, trial, fault) for fault in trial.spares)]
    return _file(rule_file, trial.step, tests)


def of_healthy(rule_file: str, step: int, steps: int, changes: Sequence[Change] = (), traffic: float = 1) -> str:
    """A test that no alert but the watchdog fires on a cluster that is well, at any of ten moments."""
    families = frozenset[Family]().union(*(alert.expr.families for alert in ALERTS.values()))
    names = [name for name, alert in ALERTS.items() if alert.severity is not Severity.HEARTBEAT]
    moments = range(steps // 10, steps + 1, steps // 10)
    given = _series(families, changes, Timeline(0, steps + 1, 0), step, traffic)
    silent = [_silent(name, moment * step) for name in names for moment in moments]
    return _file(
        rule_file, step, [{"name": "healthy", "interval": f"{step}s", "input_series": given, "alert_rule_test": silent}]
    )


def of_nothing(rule_file: str, expected: Iterable[str]) -> str:
    """A test that no alert but the expected ones fires where Prometheus has no series at all."""
    silent = [_silent(name, 36000) for name in ALERTS if name not in expected]
    return _file(
        rule_file, 600, [{"name": "no series", "interval": "600s", "input_series": [], "alert_rule_test": silent}]
    )


def _file(rule_file: str, step: int, tests: Sequence[Test]) -> str:
    return as_yaml({"rule_files": [rule_file], "evaluation_interval": f"{step}s", "tests": list(tests)})


def window_of(alert: Alert) -> int:
    """The longest time, in seconds, that an alert's expression looks back."""
    return max((seconds(found) for found in _WINDOW.findall(_text(alert))), default=0)


def _text(alert: Alert) -> str:
    """The expression; a recorded series has its window in its name."""
    return re.sub(r"ratio_rate(\w+)", r"[\1", alert.expr.text)


def _fault(alert: Alert, trial: Trial) -> Test:
    """Pending until a step before its `for` has passed, firing a step after it, and not firing after the fault has gone."""
    hold = -(-seconds(alert.hold) // trial.step)
    looks_back = -(-window_of(alert) // trial.step)
    line = Timeline(
        trial.quiet, trial.after + hold + 2 * MARGIN, looks_back + hold + 2 * MARGIN if trial.resolves else 1
    )
    before = (line.quiet - 1) * trial.step
    pending = (line.quiet + trial.after + hold - 1) * trial.step
    firing = (line.quiet + trial.after + hold + 1) * trial.step
    silences = [*([before] if line.quiet else []), pending, *([line.end * trial.step] if trial.resolves else [])]
    return {
        "name": f"{alert.name}: its fault",
        "interval": f"{trial.step}s",
        "input_series": _series(alert.expr.families, trial.fault, line, trial.step),
        "alert_rule_test": [_silent(alert.name, moment) for moment in silences],
        "promql_expr_test": [_state(alert, trial, "pending", pending), _state(alert, trial, "firing", firing)],
    }


def _spared(alert: Alert, trial: Trial, fault: Sequence[Change]) -> Test:
    steps = trial.after + -(-seconds(alert.hold) // trial.step) + 3 * MARGIN
    line = Timeline(trial.quiet, steps, 1)
    moments = [(line.quiet + step) * trial.step for step in range(0, steps, MARGIN)]
    return {
        "name": f"{alert.name}: what must not fire it",
        "interval": f"{trial.step}s",
        "input_series": _series(alert.expr.families, fault, line, trial.step),
        "alert_rule_test": [_silent(alert.name, moment) for moment in moments],
    }


def _silent(name: str, moment: int) -> dict[str, Any]:
    return {"eval_time": f"{moment}s", "alertname": name, "exp_alerts": []}


def _state(alert: Alert, trial: Trial, state: str, moment: int) -> dict[str, Any]:
    names = {"alertname": alert.name, "alertstate": state}
    own = {**names, "severity": str(alert.severity), "area": AREA_OF[alert.name]}
    samples = [{"labels": _name("ALERTS", {**own, **labels}), "value": 1} for labels in trial.fires]
    return {"expr": _name("ALERTS", names), "eval_time": f"{moment}s", "exp_samples": samples}


def _series(
    families: Iterable[Family], changes: Sequence[Change], line: Timeline, step: int, traffic: float = 1
) -> list[dict[str, str]]:
    found, used = [], set[int]()
    for family in sorted(families, key=lambda each: each.name):
        for labels in series(family):
            well = healthy(family, labels, traffic)
            hits = [number for number, change in enumerate(changes) if change.concerns(family, labels)]
            used.update(hits)
            ill = changes[hits[-1]].shape if hits else well
            found += [
                {"series": name, "values": text} for name, text in _samples(family, labels, well, ill, line, step)
            ]
    unused = [change for number, change in enumerate(changes) if number not in used]
    assert not unused, f"no series has the labels of {unused}"
    return found


def _samples(
    family: Family, labels: Labels, well: Shape | Measures, ill: Shape | Measures, line: Timeline, step: int
) -> Iterator[tuple[str, str]]:
    lengths = (line.quiet, line.fault, line.recovery)
    if family.kind is not Kind.HISTOGRAM:
        shapes = (well, ill, _recovered(family, well, ill))
        yield (
            _name(family.name, labels),
            values([(_plain(shape), n) for shape, n in zip(shapes, lengths, strict=True)], step),
        )
        return
    for bound in (*family.buckets, float("inf")):
        le = "+Inf" if bound == float("inf") else bound_text(bound)
        buckets = [_bucket(shape, bound) for shape in (well, ill, well)]
        text = values(list(zip(buckets, lengths, strict=True)), step)
        yield _name(f"{family.name}_bucket", {**labels, "le": le}), text
        if bound == float("inf"):
            yield _name(f"{family.name}_count", labels), text


def _recovered(family: Family, well: Shape | Measures, ill: Shape | Measures) -> Shape | Measures:
    """A counter that jumped stays where it is."""
    return ill if family.kind is Kind.COUNTER and isinstance(ill, Flat) else well


def _bucket(shape: Shape | Measures, bound: float) -> Shape:
    if isinstance(shape, Measures):
        return Grows(shape.per_second if shape.seconds <= bound else 0)
    return shape


def _plain(shape: Shape | Measures) -> Shape:
    assert not isinstance(shape, Measures), f"{shape} is for histograms"
    return shape


def _name(name: str, labels: Mapping[str, str]) -> str:
    pairs = ", ".join(f'{label}="{value}"' for label, value in labels.items())
    return f"{name}{{{pairs}}}"
