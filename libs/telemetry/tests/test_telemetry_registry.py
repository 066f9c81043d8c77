"""The registry: what it accepts, and how many series a process may have."""

import pytest

from dstk_telemetry.registry import METRICS, metrics_of
from dstk_telemetry.registry.kinds import Kind, Label, Metric, Owner, Unit, counter, histogram

A = Label("a", "a letter", ("x", "y"))
B = Label("b", "a number", bound=3)


@pytest.mark.parametrize(
    ("name", "kind", "unit", "text", "buckets"),
    [
        ("requests_total", Kind.COUNTER, Unit.COUNT, "It counts.", ()),
        ("dstk_requests", Kind.COUNTER, Unit.COUNT, "It counts.", ()),
        ("dstk_requests_total", Kind.GAUGE, Unit.COUNT, "It counts.", ()),
        ("dstk_wait", Kind.GAUGE, Unit.SECONDS, "It waits.", ()),
        ("dstk_wait_total", Kind.COUNTER, Unit.SECONDS, "It waits.", ()),
        ("dstk_Wait_seconds", Kind.GAUGE, Unit.SECONDS, "It waits.", ()),
        ("dstk_wait_seconds", Kind.GAUGE, Unit.SECONDS, "It waits", ()),
        ("dstk_wait_seconds", Kind.HISTOGRAM, Unit.SECONDS, "It waits.", ()),
        ("dstk_wait_seconds", Kind.HISTOGRAM, Unit.SECONDS, "It waits.", (2.0, 1.0)),
    ],
)
def test_a_name_tells_kind_and_unit(name: str, kind: Kind, unit: Unit, text: str, buckets: tuple[float, ...]) -> None:
    with pytest.raises(AssertionError):
        Metric(name, kind, text, unit, buckets=buckets)


def test_a_label_has_values_or_a_bound() -> None:
    with pytest.raises(AssertionError, match="values or a bound"):
        Label("a", "anything")


def test_known_combinations_are_those_of_closed_labels() -> None:
    closed = counter("dstk_a_total", "It counts.", A, owners=[Owner.STORAGE])
    assert list(closed.known_values()) == [("x",), ("y",)]
    assert list(counter("dstk_b_total", "It counts.", A, B, owners=[Owner.STORAGE]).known_values()) == []


def test_series_count_buckets_sum_and_count() -> None:
    metric = histogram(
        "dstk_a_seconds", "It waits.", A, B, unit=Unit.SECONDS, buckets=(1.0, 2.0), owners=[Owner.STORAGE]
    )
    assert metric.series == 2 * 3 * (2 + 3)


@pytest.mark.parametrize("owner", Owner)
def test_a_process_has_a_bounded_number_of_series(owner: Owner) -> None:
    """A server of Prometheus holds some millions: a thousand nodes must fit."""
    per_method = {name for name, metric in METRICS.items() if "rpc_method" in metric.label_names}
    others = [metric for metric in metrics_of(owner) if metric.name not in per_method]
    assert sum(metric.series for metric in others) < 6000
